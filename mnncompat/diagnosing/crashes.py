"""The node on which conversion, loading or running fails, by bisection over parts of the model in children.

A part is cut out with the values that it gets in the whole. First the nodes are tried alone that MNN's words or the
table name; then the shortest beginning of the model that fails is searched, and the shortest end of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.diagnosing.attribution import attempts
from mnncompat.diagnosing.correspondence import constant_values
from mnncompat.diagnosing.culprits import known_of_whole
from mnncompat.diagnosing.excerpts import Excerpt, excerpt
from mnncompat.diagnosing.origins import sources
from mnncompat.results.diagnosis import Culprit
from mnncompat.results.failures import Failure, FailureKind

if TYPE_CHECKING:
    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.diagnosing.measuring import Measuring
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import ConvertOptions
    from mnncompat.results.diagnostics import Diagnostic

_MOST_ALONE = 12
_LARGEST = 1 << 30
"""MNN clamps whole numbers to this."""
_REFUSALS = frozenset({FailureKind.REFUSED, FailureKind.NO_FILE})
_ENDLESS = frozenset({FailureKind.HANG, FailureKind.FLOOD})


def culprit_of_failure(
    view: GraphView,
    values: Mapping[str, np.ndarray],
    failure: Failure,
    bench: Bench,
    options: ConvertOptions,
    findings: Sequence[Diagnostic],
) -> tuple[Culprit, Excerpt] | None:
    """Find the nodes that make MNN fail.

    Args:
        view: The ONNX graph.
        values: Its values in one run, and its inputs.
        failure: How MNN failed with the whole.
        bench: Runs parts.
        options: Of the conversion.
        findings: What the table says about the main graph's nodes.

    Returns:
        The culprit and the part that shows it; None if no part fails in the same way.
    """
    search = _Search(view, values, failure, bench, options)
    nodes = search.alone(_named(view, failure, findings)) or search.bisected()
    if nodes is None:
        return None
    part, outcome = search.seen[nodes]
    nodes = search.constants_alone(nodes)
    again = outcome.words
    ends = outcome.failure is not None and outcome.failure.kind in _ENDLESS
    known = tuple(each for each in findings if each.location.index in part.nodes) or known_of_whole(view, part, bench)
    tried = () if ends else tuple(attempts(part, bench, options, view, values))
    culprit = Culprit(
        nodes=tuple(view.location(index) for index in nodes),
        status=failure.kind.value,
        stage=failure.stage.value,
        reason=failure.message,
        shown_by=(f"cut out, with its inputs of this draw: {again}",),
        isolated=f"fails as well: {again}",
        findings=known,
        attempts=tried,
        sources=sources(view.nodes[index] for index in nodes),
    )
    return culprit, part


def culprit_in_file(view: GraphView, measuring: Measuring, failure: Failure, outputs: Sequence[str]) -> Culprit | None:
    """Find the group of a file that cannot be computed, by bisection over its tensors.

    Args:
        view: The ONNX graph.
        measuring: Of the file; nothing needs to be measured.
        failure: How the file failed as a whole.
        outputs: Outputs of the model.
    """
    order = measuring.tensors.in_file_order()
    names = [name for name in order if name in measuring.golden and name not in outputs]
    names += [name for name in order if name in outputs]

    def fails(_: int, end: int) -> bool:
        found = measuring.runner.trace(measuring.feeds, names[:end], {})
        return isinstance(found, Failure) and found.kind == failure.kind

    if not names or not fails(0, len(names)):
        return None
    low, end = 0, len(names)
    while end - low > 1:
        middle = (low + end) // 2
        low, end = (low, middle) if fails(0, middle) else (middle, end)
    last = names[end - 1]
    shown = f"the file computes all before {last}, and fails when it is asked for that"
    unfit = _first_unfit(measuring, names[: end - 1])
    if unfit is not None:
        last, shown = unfit[0], f"{shown}; of that, {unfit[0]} is the first that does not fit: {unfit[1]}"
    group = next(each for each in measuring.tensors.groups if last in each.values)
    return Culprit(
        nodes=tuple(view.location(index) for index in group.nodes),
        status=failure.kind.value,
        stage=failure.stage.value,
        reason=failure.message,
        shown_by=(shown,),
        sources=sources(view.nodes[index] for index in group.nodes),
        in_file=True,
    )


def _first_unfit(measuring: Measuring, names: Sequence[str]) -> tuple[str, str] | None:
    """The first value, in the order of the file, of another shape or other whole numbers, and which: others follow.

    Sizes, axes and indices are computed as whole numbers: with other ones, what reads them fails.
    """
    found = measuring.runner.trace(measuring.feeds, names, {}) if names else None
    if found is None or isinstance(found, Failure):
        return None
    for name in names:
        each = measuring.deviation(name, found.values[name]) if name in found.values else None
        if each is not None and each.is_wrong and (each.problem.startswith("shape") or _can_be_held(measuring, name)):
            return name, each.problem
    return None


def _can_be_held(measuring: Measuring, name: str) -> bool:
    """Whether a value is of whole numbers that MNN holds as they are."""
    array = measuring.golden[name]
    return array.dtype.kind in "biu" and (not array.size or int(np.abs(array.astype(np.int64)).max()) < _LARGEST)


def shortest(count: int, fails: Callable[[int, int], bool]) -> tuple[int, int] | None:
    """The shortest stretch that still fails: its end first, then its start.

    Args:
        count: Length of the whole.
        fails: Whether the stretch from one place up to another one fails; longer ones do if shorter ones do.

    Returns:
        Start and end; None if the whole does not fail.
    """
    if not fails(0, count):
        return None
    low, end = 0, count
    while end - low > 1:
        middle = (low + end) // 2
        low, end = (low, middle) if fails(0, middle) else (middle, end)
    start, high = 0, end
    while high - start > 1:
        middle = (start + high) // 2
        start, high = (middle, high) if fails(middle, end) else (start, middle)
    return start, end


class _Search:
    """Parts that were tried."""

    def __init__(
        self,
        view: GraphView,
        values: Mapping[str, np.ndarray],
        failure: Failure,
        bench: Bench,
        options: ConvertOptions,
    ) -> None:
        self._view = view
        self._values = values
        self._failure = failure
        self._bench = bench
        self._options = options
        self.seen: dict[tuple[int, ...], tuple[Excerpt, Outcome]] = {}

    def alone(self, nodes: Sequence[int]) -> tuple[int, ...] | None:
        """The first of some nodes that fails alone."""
        return next(((index,) for index in nodes[:_MOST_ALONE] if self._fails((index,))), None)

    def bisected(self) -> tuple[int, ...] | None:
        """The nodes of the shortest stretch that fails."""
        found = shortest(len(self._view.nodes), lambda start, end: self._fails(tuple(range(start, end))))
        if found is None:
            return None
        nodes = tuple(range(*found))
        return next(((index,) for index in nodes if self._is_wrong((index,))), nodes) if len(nodes) > 1 else nodes

    def constants_alone(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the nodes that compute constants, if the others do not fail without them."""
        known = constant_values(self._view)
        fixed = tuple(index for index in nodes if known.issuperset(filter(None, self._view.nodes[index].output)))
        others = tuple(index for index in nodes if index not in fixed)
        return fixed if fixed and others and not self._fails(others) else nodes

    def _is_wrong(self, nodes: tuple[int, ...]) -> bool:
        """Whether a node alone fails in another stage, or is wrong, so that the next one fails."""
        self._fails(nodes)
        return nodes in self.seen and not self.seen[nodes][1].is_right

    def _fails(self, nodes: tuple[int, ...]) -> bool:
        if nodes not in self.seen:
            part = excerpt(self._view, nodes, self._values)
            if part is None:
                return False
            self.seen[nodes] = part, self._bench.attempt(part, self._options)
        outcome = self.seen[nodes][1]
        return outcome.failure is not None and _is_alike(outcome.failure, self._failure)


def _is_alike(one: Failure, two: Failure) -> bool:
    kinds = {one.kind, two.kind}
    return one.stage == two.stage and (len(kinds) == 1 or kinds <= _REFUSALS)


def _named(view: GraphView, failure: Failure, findings: Sequence[Diagnostic]) -> list[int]:
    """Nodes that MNN's words or the table name, one for each operator first."""
    said = f"{failure.message}\n{failure.words}"
    named = [
        index
        for index, node in enumerate(view.nodes)
        if (node.name and node.name in said) or any(name and name in said.split() for name in node.output)
    ]
    named += [each.location.index for each in findings if each.location.index is not None]
    by_op = {node.op_type: index for index, node in reversed(list(enumerate(view.nodes)))}
    named += [index for op, index in by_op.items() if op in said.replace(":", " ").replace(",", " ").split()]
    return list(dict.fromkeys(named))
