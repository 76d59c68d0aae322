"""Charts of characters: a row of bars, bars of several rows, and what a report draws with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnncompat.report.measures import decibel, distance
from mnncompat.report.printable import shortened
from mnncompat.report.text.page import Page, Style
from mnncompat.results.diagnosis import Diagnosis, Role

if TYPE_CHECKING:
    from mnncompat.report.subject import Subject
    from mnncompat.results.parity_report import OutputParity, ParityReport

_BLOCKS, _PLAIN = "▁▂▃▄▅▆▇█", "_.-=+*%#"
_MOST_DB = 140.0
_ROWS, _WIDTH, _LABEL = 7, 100, 9

Distributions = Mapping[str, Sequence[Mapping[str, Any]]]
"""Output -> its draws, as `mnncompat.viewing.distributions` tells them."""


def charts(
    results: Sequence[Subject],
    distributions: Distributions,
    *,
    color: bool = False,
    width: int | None = None,
    plain: bool = False,
) -> str:
    """Draw what was measured.

    Of each output its agreement by draw, and how values and differences are distributed; and the error along the graph.

    Args:
        results: What commands returned; those without measurements draw nothing.
        distributions: Of the outputs, where they were kept.
        color: Use ANSI styles.
        width: Columns.
        plain: Use ASCII only.

    Returns:
        The charts; empty if there are none.
    """
    page = Page(color=color)
    columns = min(width or _WIDTH, _WIDTH)
    for each in results:
        parity: ParityReport | None = getattr(each, "parity", None) or getattr(each, "proof", None)
        if parity is not None:
            for output in parity.outputs:
                _output(page, output, distributions.get(output.name, ()), plain=plain)
        if isinstance(each, Diagnosis) and each.layers:
            _layers(page, each, columns, plain=plain)
    return page.text()


def sparkline(values: Sequence[float], low: float, high: float, *, plain: bool = False) -> str:
    """A character for each value, taller for larger ones; a space for NaN.

    Args:
        values: The values; those outside of the bounds are as tall as these.
        low: What the lowest character stands for.
        high: What the tallest stands for.
        plain: Use ASCII only.
    """
    marks = _PLAIN if plain else _BLOCKS
    span = high - low or 1.0

    def mark(value: float) -> str:
        if math.isnan(value):
            return " "
        share = (min(max(value, low), high) - low) / span
        return marks[min(int(share * len(marks)), len(marks) - 1)]

    return "".join(map(mark, values))


def bars(values: Sequence[float], low: float, high: float, *, rows: int = _ROWS, plain: bool = False) -> list[str]:
    """The same in several rows, the top one first; each value is a column."""
    marks = _PLAIN if plain else _BLOCKS
    span = high - low or 1.0
    found = []
    for row in range(rows - 1, -1, -1):
        line = []
        for value in values:
            filled = 0.0 if math.isnan(value) else (min(max(value, low), high) - low) / span * rows - row
            line.append(" " if filled <= 0 else marks[min(int(filled * len(marks)), len(marks) - 1)])
        found.append("".join(line))
    return found


def squeezed(values: Sequence[float], columns: int) -> list[float]:
    """As many values as there are columns: of each stretch the largest."""
    if len(values) <= columns:
        return list(values)
    bounds = [round(place * len(values) / columns) for place in range(columns + 1)]
    stretches = [values[start:end] for start, end in itertools.pairwise(bounds)]
    return [max((each for each in stretch if not math.isnan(each)), default=math.nan) for stretch in stretches]


def _output(page: Page, output: OutputParity, draws: Sequence[Mapping[str, Any]], *, plain: bool) -> None:
    found = [_bounded(each.snr_db) for each in output.comparisons]
    page.blank()
    page.line(f"output {shortened(output.name, 60)}", style=Style.BOLD)
    line = sparkline(found, 0.0, _MOST_DB, plain=plain)
    least, most = (decibel(side(found, default=math.nan)) for side in (min, max))
    page.raw([f"  SNR by draw    {line}  {least} to {most}"])
    worst = output.worst
    told = next((each for each in draws if worst is not None and each["draw"] == worst.draw), None)
    if told is None:
        return
    counts = [math.log1p(each) for each in told["expected"]]
    values = sparkline(counts, 0.0, max(counts), plain=plain)
    bounds = f"{told['low']:.4g} to {told['high']:.4g}"
    page.raw([f"  values         {values}  {bounds}, draw {shortened(told['draw'], 30)}"])
    moved = [place for place, count in enumerate(told["differences"]) if count]
    if not moved:
        page.raw(["  differences    none: equal bit for bit"])
        return
    part = told["differences"][moved[0] : moved[-1] + 1]
    logs = [math.log1p(each) for each in part]
    ends = [10 ** (told["lowest"] + place / 2) for place in (moved[0], moved[-1] + 1)]
    line = sparkline(logs, 0.0, max(logs), plain=plain)
    between = " to ".join(map(distance, ends))
    page.raw([f"  differences    {line}  {between}, by powers of ten; {told['equal']} equal"])


def _bounded(ratio: float) -> float:
    return ratio if math.isnan(ratio) else min(max(ratio, 0.0), _MOST_DB)


def _layers(page: Page, result: Diagnosis, columns: int, *, plain: bool) -> None:
    """The noise of each layer as a share of its signal, on a scale of decibels."""
    room = columns - _LABEL
    page.blank()
    page.line(f"error along the graph, {len(result.layers)} layers, draw {result.draw}", style=Style.BOLD)
    for name, field in (("accumulated", "accumulated"), ("added by each layer", "own")):
        noise = [_noise(getattr(layer, field)) for layer in result.layers]
        if all(map(math.isnan, noise)):
            continue
        page.line(f"{name}:", lead="  ")
        lines = bars(squeezed(noise, room), -_MOST_DB, 0.0, plain=plain)
        ends = {0: "0 dB", len(lines) - 1: f"{-_MOST_DB:.0f} dB"}
        page.raw([f"{ends.get(row, ''):>{_LABEL - 1}} {line}" for row, line in enumerate(lines)])
    blamed = [number for number, layer in enumerate(result.layers) if layer.role is Role.CULPRIT]
    if blamed:
        places = {min(int(each * room / max(len(result.layers), room)), room - 1) for each in blamed}
        marks = "".join("^" if place in places else " " for place in range(max(places) + 1))
        page.raw([f"{'culprit':>{_LABEL - 1}} {marks}"])


def _noise(deviation: Any) -> float:
    if deviation is None:
        return math.nan
    return 0.0 if math.isnan(deviation.snr_db) else -_bounded(deviation.snr_db)
