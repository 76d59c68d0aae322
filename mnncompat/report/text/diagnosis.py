"""A diagnosis: the culprit, why, what helps; then the table of layers."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from mnncompat.report.location import model_name, node_name
from mnncompat.report.measures import cosine, counted, decibel, distance, shape
from mnncompat.report.printable import printable, shortened
from mnncompat.report.text.page import Page, Style
from mnncompat.report.text.table import Cell, write_table
from mnncompat.results.diagnosis import Attempt, Culprit, Deviation, Diagnosis, DiagnosisVerdict, Layer, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BEFORE = ("#", "node", "MNN", "shape")
_ERRORS = ("accumulated", "own", "own max abs", "own cosine")
_HOST = ("here accumulated", "here own")
_AFTER = ("range", "")
_LONGEST = 34
_SHOWN_WHOLE = 12
"""A table of so few layers is shown whole: which errors are the largest may change with MNN's rounding."""
_MOST_NODES = 8
_NEAR = 2
_FEW = 3
_STYLES = {Role.CULPRIT: Style.BAD, Role.SUFFERS: Style.WARN, Role.ROUGH: Style.NOTE}


def write(page: Page, result: Diagnosis) -> None:
    """Write one diagnosis."""
    converted = ", converted after the rewrites" if result.rewritten else ", converted as it is"
    against = f" against {printable(result.file)}" if result.file else converted
    against += f", {result.runner}" if result.runner != "MNN" else ""
    page.line(f"{model_name(result.source)}{against}", style=Style.BOLD)
    if not result.complete:
        page.line("interrupted: this is what was found until then", style=Style.WARN)
    _verdict(page, result)
    _attempts(page, result.attempts)
    for number, each in enumerate(result.culprits):
        _culprit(page, each, also=number > 0)
    for line in result.notes:
        page.labelled("note: ", Style.NOTE, line, indent=6)
    if result.repro is not None:
        page.labelled("repro: ", Style.NOTE, f"{result.repro}; its issue.md is ready to be filed", indent=7)
    if result.layers:
        page.blank()
        _table(page, result)


def _verdict(page: Page, result: Diagnosis) -> None:
    if result.verdict is DiagnosisVerdict.AGREES:
        drawn = counted(len(result.draws), "draw")
        page.line(f"no culprit: the outputs agree in {drawn}, seed {result.seed}", style=Style.GOOD)
    elif result.failure is not None and not result.culprits:
        page.labelled("no culprit found: ", Style.BAD, f"MNN failed: {result.failure.message}", indent=2)
    elif result.verdict is DiagnosisVerdict.ACCUMULATED:
        text = "the outputs differ, but every node by itself is within its tolerance: the error accumulates"
        page.labelled("no single culprit: ", Style.BAD, text, indent=2)
    elif not result.culprits:
        text = "the outputs differ" if result.outputs else "the outputs cannot be compared"
        page.labelled("no culprit found: ", Style.BAD, text, indent=2)


def _culprit(page: Page, culprit: Culprit, *, also: bool) -> None:
    page.labelled("also: " if also else "culprit: ", Style.BAD, _named(culprit), indent=2)
    _fact(page, "what", culprit.reason)
    if culprit.shown_by:
        _fact(page, "shown by", "; ".join(culprit.shown_by))
    if culprit.isolated:
        _fact(page, "alone", culprit.isolated)
    for found in culprit.findings:
        _fact(page, "known as", f"{found.code} {found.name}: {found.message}")
    if culprit.findings == () and culprit.isolated and not culprit.in_file:
        _fact(page, "known as", "no row of the table knows this: please report it")
    _attempts(page, culprit.attempts)
    for line in culprit.sources:
        _fact(page, "written in", line)
    for hint in dict.fromkeys(found.hint for found in culprit.findings if found.hint):
        _fact(page, "instead", hint)


def _attempts(page: Page, attempts: Sequence[Attempt]) -> None:
    """What was tried, first what helps."""
    for each in attempts:
        if each.helps:
            _fact(page, "helps", f"{each.what}{f': {each.option}' if each.option else ''}")
    other = [each.what for each in attempts if not each.helps]
    if other:
        _fact(page, "no help", ", ".join(other))


def _named(culprit: Culprit) -> str:
    """The nodes; of a large group the last ones, because they give it its values."""
    names = [node_name(each) for each in culprit.nodes[-_MOST_NODES:]]
    left = len(culprit.nodes) - len(names)
    more = f" and {counted(left, 'node')} before them" if left else ""
    if len(culprit.nodes) > 1:
        together = "are one step in the file" if culprit.status == "wrong" else "fail together"
        return f"{len(culprit.nodes)} nodes that {together}: {', '.join(names)}{more}"
    return names[0] if names else "the model as a whole"


def _fact(page: Page, label: str, text: str) -> None:
    page.labelled(f"  {label:<11}", Style.FAINT, text, indent=13)


def _table(page: Page, result: Diagnosis) -> None:
    whole = result.every_layer or len(result.layers) <= _SHOWN_WHOLE
    chosen = list(result.layers) if whole else list(_telling(result.layers))
    left = len(result.layers) - len(chosen)
    sizes = ", ".join(f"{printable(name)} {shape(dims)}" for name, dims in result.shapes.items())
    page.line(f"draw {result.draw}, seed {result.seed}: {sizes}" if sizes else f"draw {result.draw}")
    beside = any(each.host_accumulated or each.host_own for each in result.layers)
    header = (*_BEFORE, *_ERRORS, *(_HOST if beside else ()), *_AFTER)
    write_table(page, header, [_row(each, beside=beside) for each in chosen], left=3)
    if left:
        page.line(f"{counted(left, 'layer')} more: --all")


def _telling(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Culprits with their neighbours, where NaN is born, the first that suffer, and the largest errors of their own."""
    places = {number for number, each in enumerate(layers) if each.role is Role.CULPRIT or each.born}
    if not places:  # where the error begins
        wrong = (number for number, each in enumerate(layers) if each.accumulated and each.accumulated.is_wrong)
        places = set(islice(wrong, 1))
    near = {place + step for place in places for step in range(-_NEAR, _NEAR + 1)}
    suffering = [number for number, each in enumerate(layers) if each.role is Role.SUFFERS]
    own = sorted(range(len(layers)), key=lambda place: -_ratio(layers[place].own))
    last = [len(layers) - 1]
    shown = near | set(suffering[:_FEW]) | set(own[:_FEW]) | set(last)
    return (each for number, each in enumerate(layers) if number in shown)


def _ratio(found: Deviation | None) -> float:
    return 0.0 if found is None or math.isnan(found.error_ratio) else found.error_ratio


def _row(layer: Layer, *, beside: bool) -> list[Cell]:
    own = layer.own
    role: Cell = (layer.role.value, _STYLES[layer.role]) if layer.role in _STYLES else layer.role.value
    born = f"{layer.born} born here" if layer.born else ""
    return [
        str(layer.number),
        shortened(_nodes(layer), _LONGEST),
        shortened(_ops(layer.mnn_ops), _LONGEST),
        shape(layer.shape),
        _noise(layer.accumulated),
        _noise(own),
        "-" if own is None else distance(own.max_abs),
        "-" if own is None else cosine(own.cosine),
        *([_noise(layer.host_accumulated), _noise(layer.host_own)] if beside else []),
        _range(layer),
        role if not born else (f"{layer.role.value} {born}".strip(), Style.BAD),
    ]


def _noise(found: Deviation | None) -> str:
    if found is None:
        return "-"
    return (
        found.problem.partition(" ")[0] if found.problem and not math.isfinite(found.snr_db) else decibel(found.snr_db)
    )


def _range(layer: Layer) -> str:
    return "-" if math.isnan(layer.low) else f"{layer.low:.3g} .. {layer.high:.3g}"


def _nodes(layer: Layer) -> str:
    if not layer.nodes:
        return printable(layer.values[0])
    last = node_name(layer.nodes[-1])
    return f"{last} +{len(layer.nodes) - 1}" if len(layer.nodes) > 1 else last


def _ops(ops: Sequence[str]) -> str:
    return ops[0] + (f" +{len(ops) - 1}" if len(ops) > 1 else "") if ops else "-"
