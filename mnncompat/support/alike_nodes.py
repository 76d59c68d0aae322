"""Rows are decided once for nodes that look alike: large models repeat a few dozen nodes thousands of times.

A node's own look is its opset, its counts of operands and results, and its attributes: rows that these exclude are not
looked at again. Rows that ask for no more than state, type and shape of its values are decided once for values that
agree in these, and so are rows that need a node of a certain operator before this one where there is none. What else
asks for neighbours or values of constants is decided for each node.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from mnncompat.graph.protos import plain_attributes
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constants
from mnncompat.support.conditions import any_holds
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import describe
from mnncompat.support.three_valued import Truth, all_of, negation

if TYPE_CHECKING:
    from mnncompat.support.operand_conditions import Test
    from mnncompat.support.table import OpFile, Row

_MOST = 20_000
"""Looks that are kept: a model without any alike must not fill the memory."""


class _Left(NamedTuple):
    """What is left to ask of each node by itself: the tests of `Row.when` and `Row.unless`."""

    when: tuple[tuple[Test, ...], ...]
    unless: tuple[tuple[Test, ...], ...]

    def holds(self, facts: NodeFacts) -> Truth:
        """As `Row.holds`."""
        admitted = negation(any_holds(self.unless, facts)) if self.unless else True
        return False if admitted is False else all_of((admitted, any_holds(self.when, facts)))


_Decision = Truth | _Left


class RowMatch(NamedTuple):
    """A row that holds, or may hold, for a node.

    Attributes:
        row: The row.
        certain: False if the model does not tell enough to be certain.
        reason: The row's reason with the actual values.
    """

    row: Row
    certain: bool
    reason: str


class _Decided(NamedTuple):
    """What nodes that look alike have in common.

    Attributes:
        rows: Those that the looks do not exclude, in the order of the file.
        matches: What holds for all these nodes; None if each has to be asked, or has a reason of its own.
    """

    rows: tuple[tuple[Row, _Decision], ...]
    matches: tuple[RowMatch, ...] | None


class _Candidates(NamedTuple):
    """Rows that a node's own look does not exclude.

    Attributes:
        rows: All of them, in the order of the file.
        decided: What the looks of values say about them.
    """

    rows: tuple[Row, ...]
    decided: dict[Hashable, _Decided]


class AlikeNodes:
    """What was decided, for one table."""

    def __init__(self) -> None:
        self._own: dict[Hashable, _Candidates] = {}

    def matches(self, file: OpFile, view: GraphView, index: int, version: str) -> tuple[RowMatch, ...]:
        """The rows of an op type that hold, or may hold, for a node under a release, in the order of the file."""
        node = view.nodes[index]
        operands, results = view.operands[index], view.results[index]
        stated = plain_attributes(node) if node.attribute else ()
        if stated is None:  # it holds tensors or graphs
            facts = NodeFacts(view, index, file.defaults)
            return _matches([(row, row.holds(facts)) for row in file.rows if row.holds_for(version)], facts)
        key = (version, node.op_type, view.opset, len(operands), len(results), stated)
        known = self._own.get(key)
        if known is None:
            _limit(self._own)
            facts = NodeFacts(view, index, file.defaults)
            left = (row for row in file.rows if row.holds_for(version) and not row.when.fails_by_itself(facts))
            known = self._own[key] = _Candidates(tuple(left), {})
        if not known.rows:
            return ()
        looks = _looks(view)
        look = tuple(map(looks.__getitem__, operands)), tuple(map(looks.__getitem__, results))
        decided = known.decided.get(look)
        if decided is None:
            _limit(known.decided)
            decided = known.decided[look] = _decide(known.rows, NodeFacts(view, index, file.defaults))
        if decided.matches is not None:
            return decided.matches
        facts = NodeFacts(view, index, file.defaults)
        return _matches(
            [(row, known.holds(facts) if isinstance(known, _Left) else known) for row, known in decided.rows], facts
        )


def _matches(truths: Sequence[tuple[Row, Truth]], facts: NodeFacts) -> tuple[RowMatch, ...]:
    return tuple(
        [
            RowMatch(row, truth is True, describe(row.reason, facts) if row.reason else "")
            for row, truth in truths
            if truth is not False
        ]
    )


def _decide(rows: Sequence[Row], facts: NodeFacts) -> _Decided:
    decisions = ((row, _decision(row, facts)) for row in rows)
    left = tuple(each for each in decisions if each[1] is not False)
    if any(row.reason or isinstance(decision, _Left) for row, decision in left):
        return _Decided(left, None)
    return _Decided(left, tuple(RowMatch(row, decision is True, "") for row, decision in left))


def _decision(row: Row, facts: NodeFacts) -> _Decision:
    if row.when.is_described and row.unless.is_described:
        return row.holds(facts)
    when = row.when.left_for(facts)
    return _Left(when, row.unless.left_for(facts)) if when else False


class _Looks(dict[str, int]):
    """A number for each value of a graph, the same for those of one type, shape, state and operator."""

    def __init__(self, view: GraphView) -> None:
        super().__init__({"": -1})
        self._view = view
        self._outputs, self._constants = view.outputs, constants(view)

    def __missing__(self, name: str) -> int:
        view = self._view
        index = view.producers.get(name)
        op = "" if index is None else view.nodes[index].op_type
        look = view.typed(name), name in self._constants, name in self._outputs, op
        found = _NUMBERS.get(look)
        if found is None:
            _limit(_NUMBERS)
            found = _NUMBERS[look] = next(_UNUSED)
        self[name] = found
        return found


def _looks(view: GraphView) -> _Looks:
    found: _Looks | None = view.kept.get(_Looks)
    if found is None:
        found = view.kept[_Looks] = _Looks(view)
    return found


_NUMBERS: dict[Hashable, int] = {}
_UNUSED = count()


def _limit(known: dict[Hashable, Any]) -> None:
    if len(known) >= _MOST:
        known.clear()
