"""Rows are decided once for nodes that look alike: large models repeat a few dozen nodes thousands of times.

A node's own look is its opset, its counts of operands and results, and its attributes: rows that these exclude are not
looked at again. Rows that ask for no more than state, type and shape of its values are decided once for values that
agree in these, and so are rows that need a node of a certain operator before this one where there is none. What else
asks for neighbours or values of constants is decided for each node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from mnncompat.graph.node_columns import Look
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constants
from mnncompat.support.conditions import any_holds
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import describe
from mnncompat.support.relations.registry import WATCHED
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
        decided: What the looks of values say about them; None if nodes of this look need not be alike.
    """

    rows: tuple[Row, ...]
    decided: dict[Hashable, _Decided] | None


class AlikeNodes:
    """What was decided, for one table.

    Args:
        file: What the table knows about an op type.
    """

    def __init__(self, file: Callable[[str], OpFile]) -> None:
        self.file = file
        self._own: dict[Hashable, dict[Look, _Candidates]] = {}

    def own(self, scope: Hashable) -> dict[Look, _Candidates]:
        """The rows that nodes' own looks do not exclude, of graphs with something in common."""
        return self._own.setdefault(scope, {})


class GraphMatches:
    """The rows that hold, or may hold, for the nodes of a graph under a release.

    Args:
        alike: What was decided.
        view: The graph.
        version: The release.
        precision: What MNN computes in; None for rows about any.
    """

    def __init__(self, alike: AlikeNodes, view: GraphView, version: str, precision: str | None = None) -> None:
        self._view, self._version, self._precision, self._file = view, version, precision, alike.file
        watched = WATCHED.intersection(op for _, op in view.kinds)
        self._own = alike.own((version, precision, view.opset, view.parent is None, watched))
        self._columns = view.columns
        self._candidates: list[_Candidates | None] = [None] * len(view.columns.looks)
        self._number: Callable[[str], int] | None = None
        self._found: list[tuple[RowMatch, ...] | None] = [None] * len(view.nodes)

    def at(self, index: int) -> tuple[RowMatch, ...]:
        """The rows for one node, in the order of the file.

        Raises:
            TableError: The file of the op type is damaged.
        """
        found = self._found[index]
        if found is None:
            found = self._found[index] = self._find(index)
        return found

    def _find(self, index: int) -> tuple[RowMatch, ...]:
        columns = self._columns
        number = columns.numbers[index]
        known = self._candidates[number]
        if known is None:
            known = self._candidates[number] = self._known(columns.looks[number], index)
        if not known.rows:
            return ()
        if known.decided is None:
            facts = self._facts(index)
            return _matches([(row, row.holds(facts)) for row in known.rows], facts)
        of_value = self._number
        if of_value is None:
            of_value = self._number = _looks(self._view).__getitem__
        look = tuple(map(of_value, columns.operands[index])), tuple(map(of_value, columns.results[index]))
        decided = known.decided.get(look)
        if decided is None:
            _limit(known.decided)
            decided = known.decided[look] = _decide(known.rows, self._facts(index))
        if decided.matches is not None:
            return decided.matches
        facts = self._facts(index)
        truths = [(row, each.holds(facts) if isinstance(each, _Left) else each) for row, each in decided.rows]
        return _matches(truths, facts)

    def _known(self, look: Look, index: int) -> _Candidates:
        """The rows that a node's own look does not exclude."""
        found = self._own.get(look)
        if found is None:
            _limit(self._own)
            rows = (row for row in self._file(look.op).rows if row.is_about(self._precision))
            rows = (row for row in rows if row.holds_for(self._version))
            if look.stated is None:  # it holds tensors or graphs
                found = _Candidates(tuple(rows), None)
            else:
                facts = self._facts(index)
                found = _Candidates(tuple(row for row in rows if not row.when.fails_by_itself(facts)), {})
            self._own[look] = found
        return found

    def _facts(self, index: int) -> NodeFacts:
        return NodeFacts(self._view, index, self._file(self._view.nodes[index].op_type).defaults)


def _matches(truths: Sequence[tuple[Row, Truth]], facts: NodeFacts) -> tuple[RowMatch, ...]:
    found = [
        RowMatch(row, truth is True, describe(row.reason, facts) if row.reason else "")
        for row, truth in truths
        if truth is not False
    ]
    return tuple(found)


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
        super().__init__()
        self._view = view
        self._outputs, self._constants = view.outputs, constants(view)
        self._fill()
        self[""] = -1

    def _fill(self) -> None:
        """Number the values that nodes compute, as `__missing__` does one by one."""
        columns, types, constant, outputs = self._view.columns, self._view.types, self._constants, self._outputs
        ops = [look.op for look in columns.looks]
        known: dict[Hashable, int] = {}
        for number, results in zip(columns.numbers, columns.results, strict=True):
            for name in results:
                kind = types.get(name)
                if kind is not None:
                    look = kind, name in constant, name in outputs, ops[number]
                    found = known.get(look)
                    if found is None:
                        found = known[look] = _number_of(look)
                    self[name] = found

    def __missing__(self, name: str) -> int:
        view = self._view
        index = view.producers.get(name)
        op = "" if index is None else view.nodes[index].op_type
        found = self[name] = _number_of((view.typed(name), name in self._constants, name in self._outputs, op))
        return found


def _number_of(look: Hashable) -> int:
    found = _NUMBERS.get(look)
    if found is None:
        _limit(_NUMBERS)
        found = _NUMBERS[look] = next(_UNUSED)
    return found


def _looks(view: GraphView) -> _Looks:
    found: _Looks | None = view.kept.get(_Looks)
    if found is None:
        found = view.kept[_Looks] = _Looks(view)
    return found


_NUMBERS: dict[Hashable, int] = {}
_UNUSED = count()


def _limit(known: dict[Any, Any]) -> None:
    if len(known) >= _MOST:
        known.clear()
