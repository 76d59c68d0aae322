"""From the groups that are wrong by themselves to the culprits: confirmed alone, with what was seen of them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.checking.checker import check_model
from mnncompat.diagnosing.attribution import attempts
from mnncompat.diagnosing.blame import Suspect, cures, suspects
from mnncompat.diagnosing.excerpts import Excerpt, excerpt, following
from mnncompat.diagnosing.isolation import constants_before, held_otherwise, isolated
from mnncompat.diagnosing.minimize import copy_of
from mnncompat.diagnosing.origins import sources
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import Weights
from mnncompat.report.measures import counted
from mnncompat.results.diagnosis import Attempt, Culprit
from mnncompat.results.diagnostics import Category, Diagnostic, Location, Severity
from mnncompat.rewrites.index import all_rewrites

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.diagnosing.bench import Bench
    from mnncompat.diagnosing.draws import Chosen
    from mnncompat.diagnosing.measuring import Measuring
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import ConvertOptions

Found = tuple[Culprit, Excerpt | None]
"""A culprit, and the part of the model that shows it alone."""
_Guilty = set[tuple[str, ...]]
_HALF, _HALF_BITS = "as float16", 16
_FULL = "a conversion without --weight-bits and --fp16"
_STORED = frozenset({"Constant", "Identity"})
"""Operators that compute nothing."""
_MAGNIFIED = "within the tolerance of a value inside the model; what follows magnifies the error"


def culprits_of(
    measuring: Measuring, view: GraphView, chosen: Chosen, bench: Bench, options: ConvertOptions
) -> tuple[list[Found], _Guilty, tuple[str, ...]]:
    """The culprits of a draw, each with the part that shows it, the values of their groups, and remarks.

    Args:
        measuring: What was measured.
        view: The ONNX graph.
        chosen: The draw.
        bench: Runs micro-models.
        options: Of the conversion.
    """

    def ahead() -> None:
        known_about(view, (), bench)
        all_rewrites()  # imports them

    found = suspects(measuring, chosen.failing, ahead)
    notes = tuple(_remarks(measuring, chosen, found))
    culprits = [
        _confirmed(_culprit(measuring, view, each, chosen), measuring, view, each, bench, options) for each in found
    ]
    return culprits, {each.group.values for each in found}, notes


def united(found: Sequence[Found]) -> list[Found]:
    """Each group of nodes once, with all outputs that it makes wrong, and all draws that show it."""
    known: dict[tuple[Location, ...], Found] = {}
    for each, part in found:
        first, its_part = known.get(each.nodes, (each, part))
        outputs = tuple(dict.fromkeys((*first.outputs, *each.outputs)))
        draws = tuple(dict.fromkeys((*first.draws, *each.draws)))
        known[each.nodes] = replace(first, outputs=outputs, draws=draws), its_part
    return list(known.values())


def with_stored(culprit: Culprit, view: GraphView) -> Culprit:
    """A culprit in the file only, with the nodes whose results the converter stored in it: they may be what differs."""
    nodes = [each.index for each in culprit.nodes if each.index is not None and not each.graph]
    if not culprit.in_file or len(nodes) < len(culprit.nodes):
        return culprit
    before = [index for index in constants_before(view, nodes) if view.nodes[index].op_type not in _STORED]
    stored = tuple(view.location(index) for index in before if index not in nodes)
    if not stored:
        return culprit
    told = f"results of {counted(len(stored), 'node')} are constants in the file, and may be what differs there"
    return replace(culprit, nodes=(*stored, *culprit.nodes), shown_by=(*culprit.shown_by, told))


def seen_here(culprit: Culprit, host: Measuring | None) -> Culprit:
    """A culprit on a device, with what its nodes do on this machine."""
    names = [name for node in culprit.nodes for name in node.outputs]
    found = [] if host is None else [host.found.own[name] for name in names if name in host.found.own]
    if not found:
        return culprit
    worst = max(found, key=lambda each: each.error_ratio)
    if worst.is_wrong:
        told = f"on this machine it is wrong by itself as well: {worst.problem or f'SNR {worst.snr_db:.1f} dB'}"
    else:
        told = f"on this machine it is right by itself: SNR {worst.snr_db:.1f} dB"
    return replace(culprit, shown_by=(*culprit.shown_by, told))


def _culprit(measuring: Measuring, view: GraphView, suspect: Suspect, chosen: Chosen) -> Culprit:
    shown = list(suspect.shown_by)
    cured = cures(measuring, [suspect.group], list(chosen.failing))
    if cured:
        shown.append("with its values put right, the outputs agree")
    elif cured is not None:
        shown.append("with its values put right, an output is still wrong")
    shown += [f"the file holds its weights {each}" for each in _roundings(suspect)]
    return Culprit(
        nodes=tuple(view.location(index) for index in suspect.group.nodes),
        status="wrong",
        reason=_reason(measuring, suspect),
        outputs=suspect.outputs,
        draws=(chosen.feeds.name,),
        shown_by=tuple(shown),
        sources=sources(view.nodes[index] for index in suspect.group.nodes),
    )


def _roundings(suspect: Suspect) -> list[str]:
    """How the ops of a group hold weights that were rounded."""
    bits = {op.bits for op in suspect.group.ops if op.weights is Weights.ENCODED}
    return [_HALF if each == _HALF_BITS else f"in {each} bits" if each else "rounded" for each in sorted(bits)]


def _with_full_weights(suspect: Suspect, options: ConvertOptions) -> tuple[Attempt, ...]:
    """What a conversion that was right says of a group with rounded weights, if it did not round them."""
    if not _roundings(suspect) or options.fp16 or options.weight_bits:
        return ()
    return (Attempt(what="weights that are not rounded", option=_FULL, helps=True, detail="right"),)


def _confirmed(
    culprit: Culprit, measuring: Measuring, view: GraphView, suspect: Suspect, bench: Bench, options: ConvertOptions
) -> Found:
    """A culprit with what happens to it alone, and the smallest part that shows it."""
    values = ChainMap(measuring.feeds, dict(measuring.golden))
    if suspect.own <= 1:
        return _magnified(culprit, view, suspect, values, bench, options)
    found = isolated(view, suspect.group.nodes, values, bench, options)
    if found is None:
        return culprit, None
    tried = () if found.part is None else tuple(attempts(found.part, bench, options, view, values))
    if found.is_right:
        tried = _with_full_weights(suspect, options)
    told = replace(
        culprit,
        nodes=tuple(view.location(index) for index in found.nodes),
        isolated=found.words,
        in_file=found.is_right,
        attempts=tried,
        findings=() if found.is_right else _known_of(view, found.nodes, found.part, bench),
    )
    return told, found.part


def _magnified(
    culprit: Culprit,
    view: GraphView,
    suspect: Suspect,
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> Found:
    """A culprit that is within its tolerance by itself: it shows only together with what follows it."""
    told = replace(culprit, isolated=_MAGNIFIED, findings=known_about(view, suspect.group.nodes, bench))
    part = excerpt(view, following(view, suspect.group.nodes), values, show=suspect.outputs)
    found = None if part is None else bench.attempt(part, options)
    if part is None or found is None:
        return told, None
    if found.is_right:
        return replace(told, attempts=_with_full_weights(suspect, options)), None
    told = replace(told, isolated=f"{_MAGNIFIED}: with that, {found.words}")
    return replace(told, attempts=tuple(attempts(part, bench, options, view, values))), part


def misread(
    culprits: Sequence[Culprit], measuring: Measuring, view: GraphView, bench: Bench, options: ConvertOptions
) -> set[str]:
    """Values of culprits that are none: the file holds them in another form, and so does every new conversion."""
    values = ChainMap(measuring.feeds, dict(measuring.golden))
    found: set[str] = set()
    for each in culprits:
        nodes = [node.index for node in each.nodes if node.index is not None and not node.graph]
        names = [name for node in each.nodes for name in node.outputs]
        if each.in_file and nodes:
            found |= held_otherwise(view, nodes, names, values, bench, options)
    return found


def known_about(view: GraphView, nodes: Sequence[int], bench: Bench) -> tuple[Diagnostic, ...]:
    """What the table says about nodes of the main graph, where files are run: errors, and what is wrong in part."""
    return tuple(each for each in _known(view, bench) if not each.location.graph and each.location.index in nodes)


def known_of_whole(view: GraphView, part: Excerpt, bench: Bench) -> tuple[Diagnostic, ...]:
    """What the table says about the model as a whole, and about a part of it as well: as of a tensor in both."""
    whole = [each for each in _known(view, bench) if each.location.index is None]
    if not whole:
        return ()
    alone = check_model(from_proto(copy_of(part.model)), rewrites=(), **bench.deployment).diagnostics
    told = {(each.code, each.message) for each in alone if each.location.index is None}
    return tuple(each for each in whole if (each.code, each.message) in told)


def _known_of(view: GraphView, nodes: Sequence[int], part: Excerpt | None, bench: Bench) -> tuple[Diagnostic, ...]:
    known = known_about(view, nodes, bench)
    return known if known or part is None else known_of_whole(view, part, bench)


def _known(view: GraphView, bench: Bench) -> tuple[Diagnostic, ...]:
    """All of it; looked up once."""
    found: tuple[Diagnostic, ...] | None = view.kept.get("known about its nodes")
    if found is None:
        told = check_model(view.scope.model, rewrites=(), **bench.deployment).diagnostics
        found = tuple(
            each for each in told if each.severity is not Severity.INFO and each.category is Category.CORRECTNESS
        )
        view.kept["known about its nodes"] = found
    return found


def _reason(measuring: Measuring, suspect: Suspect) -> str:
    """What is wrong about its values."""
    own = measuring.found.own
    name = max((each for each in suspect.group.values if each in own), key=lambda each: own[each].error_ratio)
    each = own[name]
    if each.problem:
        return f"{name}: {each.problem}"
    return f"{name}: off by up to {each.max_abs:.3g}, SNR {each.snr_db:.1f} dB, where the inputs are right"


def _remarks(measuring: Measuring, chosen: Chosen, found: Sequence[Suspect]) -> list[str]:
    notes = []
    seen = measuring.found.outputs
    if any(name in seen and not _same(seen[name], each) for name, each in chosen.outputs.items()):
        right = [name for name in chosen.failing if name in seen and not measuring.deviation(name, seen[name]).is_wrong]
        if right:
            notes.append(f"looked into, the file computes {', '.join(right)} right: the error vanishes when looked at")
        else:
            notes.append("looked into, the file computes other numbers, as wrong as before")
    if not found:
        worst = max(measuring.found.own.items(), key=lambda each: each[1].error_ratio, default=None)
        if worst is not None:
            notes.append(
                f"each value by itself is within its tolerance; the largest error is that of {worst[0]}: "
                f"{worst[1].error_ratio:.2g} of what is allowed"
            )
    return notes


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.shape == two.shape and one.tobytes() == two.tobytes()
