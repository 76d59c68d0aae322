"""The culprit alone: cut out, converted and run; then its nodes one by one, or with its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.diagnosing.correspondence import Correspondence, constant_values, reads
from mnncompat.diagnosing.excerpts import Excerpt, excerpt, with_open_sizes
from mnncompat.diagnosing.tracing import FileRunner
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import read_graph
from mnncompat.report.location import node_name
from mnncompat.report.measures import counted
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import ConvertOptions

_HOPS, _MOST_NEAR = 4, 48
"""How far from it the neighbourhood of a culprit goes, and how many nodes it may have."""
_MOST_NAMED = 8
_MOST_NODES = 24
"""Groups of more nodes are not taken apart one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What happens to a culprit that is alone.

    Attributes:
        words: It, in one line.
        part: The smallest part that is wrong; None if none is.
        nodes: Indices of the nodes that are to blame, as far as they could be told apart.
        is_right: The converter and MNN do it right, alone and with its neighbours.
    """

    words: str
    part: Excerpt | None
    nodes: tuple[int, ...]
    is_right: bool = False


def isolated(
    view: GraphView,
    nodes: tuple[int, ...],
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> Isolation | None:
    """Try a culprit alone.

    Args:
        view: The ONNX graph.
        nodes: Indices of its nodes.
        values: The right values of the draw.
        bench: Runs micro-models.
        options: Of the conversion.

    Returns:
        What happened; None if it cannot be cut out.
    """
    whole = excerpt(view, nodes, values)
    if whole is None:
        return None
    outcome = bench.attempt(whole, options)
    if outcome.is_right:
        folded = _with_constants(view, whole, values, bench, options)
        found = folded or _with_open_sizes(view, whole, bench, options)
        if found is not None:
            return found
        return _with_neighbours(view, whole, values, bench, options)
    if len(nodes) == 1 or len(nodes) > _MOST_NODES:
        return Isolation(words=f"wrong as well: {outcome.words}", part=whole, nodes=nodes)
    return _one_by_one(view, whole, outcome, values, bench, options)


def _one_by_one(
    view: GraphView,
    whole: Excerpt,
    outcome: Outcome,
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> Isolation:
    """Which node of a group is wrong alone; if none is, it is that they are together."""
    found = _first_wrong(view, whole.nodes, values, bench, options)
    if found is not None:
        index, part, alone = found
        words = f"{_name(view, index)} alone is wrong: {alone.words}"
        return Isolation(words=words, part=part, nodes=(index,))
    words = f"wrong as well, though each of its nodes alone is right: it is how MNN joins them; {outcome.words}"
    return Isolation(words=words, part=whole, nodes=whole.nodes)


def _with_constants(
    view: GraphView, whole: Excerpt, values: Mapping[str, np.ndarray], bench: Bench, options: ConvertOptions
) -> Isolation | None:
    """What the converter computes of constants beforehand, and gets wrong; None if that is right."""
    before = constants_before(view, whole.nodes)
    part = excerpt(view, {*whole.nodes, *before}, values) if before else None
    found = None if part is None else bench.attempt(part, options)
    if part is None or found is None or found.is_right or found.failure is not None:
        return None
    for index in before[:_MOST_NODES]:
        one = excerpt(view, {*whole.nodes, index}, values)
        alone = None if one is None else bench.attempt(one, options)
        if one is not None and alone is not None and not alone.is_right:
            words = f"{_name(view, index)}, which the converter computes beforehand, is wrong: {alone.words}"
            return Isolation(words=words, part=one, nodes=(index,))
    words = f"wrong with the constants before it, which the converter computes beforehand: {found.words}"
    return Isolation(words=words, part=part, nodes=part.nodes)


def _with_open_sizes(view: GraphView, whole: Excerpt, bench: Bench, options: ConvertOptions) -> Isolation | None:
    """The same with the sizes that the model leaves open; None if it leaves none, or that is right."""
    part = with_open_sizes(whole, view)
    found = None if part is None else bench.attempt(part, options)
    if part is None or found is None or found.is_right:
        return None
    words = f"right where the sizes of this draw are stated, wrong where they are open, as in the model: {found.words}"
    return Isolation(words=words, part=part, nodes=whole.nodes)


def constants_before(view: GraphView, nodes: Collection[int]) -> tuple[int, ...]:
    """Nodes that compute constants which these read, and the nodes before them."""
    constant, found, ahead = constant_values(view), set[int](), list(nodes)
    while ahead:
        for name in reads(view.nodes[ahead.pop()]):
            index = view.producers.get(name)
            if name in constant and index is not None and index not in found:
                found.add(index)
                ahead.append(index)
    return tuple(sorted(found - set(nodes)))


def _with_neighbours(
    view: GraphView,
    whole: Excerpt,
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> Isolation:
    near = whole.nodes
    for _ in range(_HOPS):
        wider = neighbours(view, near)
        if len(wider) == len(near) or len(wider) > _MOST_NEAR:
            break
        near = wider
        part = excerpt(view, near, values)
        found = None if part is None else bench.attempt(part, options)
        if part is not None and found is not None and not found.is_right and found.failure is None:
            beside = [index for index in near if index not in whole.nodes]
            return _wrong_together(view, whole, part, beside, found, values, bench, options)
    words = "right, alone and with its neighbours, where MNN converts these nodes anew"
    return Isolation(words=words, part=None, nodes=whole.nodes, is_right=True)


def _wrong_together(
    view: GraphView,
    whole: Excerpt,
    part: Excerpt,
    beside: list[int],
    outcome: Outcome,
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> Isolation:
    """Which of the neighbours it is; the nodes themselves, if each of those is right alone."""
    wrong = _first_wrong(view, beside, values, bench, options)
    if wrong is not None:
        index, one, alone = wrong
        words = f"{_name(view, index)}, which MNN computes beside it, is wrong alone: {alone.words}"
        return Isolation(words=words, part=one, nodes=(index,))
    names = ", ".join(_name(view, index) for index in beside[:_MOST_NAMED])
    left = len(beside) - _MOST_NAMED
    names += f" and {counted(left, 'node')} more" if left > 0 else ""
    words = f"right alone, wrong together with its neighbours {names}: {outcome.words}"
    return Isolation(words=words, part=part, nodes=whole.nodes)


def _first_wrong(
    view: GraphView, nodes: Iterable[int], values: Mapping[str, np.ndarray], bench: Bench, options: ConvertOptions
) -> tuple[int, Excerpt, Outcome] | None:
    """The first of some nodes that is wrong alone, cut out, and what came out."""
    for index in nodes:
        part = excerpt(view, (index,), values)
        outcome = None if part is None else bench.attempt(part, options)
        if part is not None and outcome is not None and not outcome.is_right:
            return index, part, outcome
    return None


def held_otherwise(
    view: GraphView,
    nodes: Collection[int],
    names: Collection[str],
    values: Mapping[str, np.ndarray],
    bench: Bench,
    options: ConvertOptions,
) -> set[str]:
    """Values that MNN holds in another form, such as with axes in another order, though what follows is right.

    Args:
        view: The ONNX graph.
        nodes: Indices of the nodes that compute them.
        names: The values.
        values: The right values of the draw.
        bench: Converts the nodes with their neighbours.
        options: Of the conversion.
    """
    part = excerpt(view, neighbours(view, neighbours(view, nodes)), values)
    file = None if part is None else bench.convert(part.model, options)
    if part is None or file is None or isinstance(file, Failure):
        return set()
    tensors = Correspondence(read_graph(file), view_model(from_proto(part.model)).main)
    inner = [name for name in names if name in tensors.numbers and name not in part.expected]
    if not inner:
        return set()
    runner = FileRunner(file, limits=bench.limits, performer=bench.server.perform)
    found = runner.trace(part.feeds, [*inner, *part.expected], {})
    if isinstance(found, Failure):
        return set()
    wrong = {name for name, each in found.values.items() if bench.deviation(values[name], each).is_wrong}
    return set() if wrong & set(part.expected) else wrong & set(inner)


def neighbours(view: GraphView, nodes: Collection[int]) -> tuple[int, ...]:
    """The nodes, those whose values they read, and those that read theirs."""
    made = {name for index in nodes for name in view.nodes[index].output if name}
    before = {view.producers[name] for index in nodes for name in reads(view.nodes[index]) if name in view.producers}
    after = {index for index, node in enumerate(view.nodes) if made.intersection(reads(node))}
    return tuple(sorted({*nodes, *before, *after}))


def _name(view: GraphView, index: int) -> str:
    return node_name(view.location(index))
