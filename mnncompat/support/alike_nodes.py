"""Rows are decided once for nodes that look alike: large models repeat a few dozen nodes thousands of times.

A node's own look is its opset, its counts of operands and results, and its attributes: rows that these exclude are not
looked at again. Rows that ask for no more than state, type and shape of its values are decided once for values that
agree in these. What asks for neighbours or values of constants is decided for each node.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from mnncompat.graph.protos import plain_attributes
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.three_valued import Truth

if TYPE_CHECKING:
    from mnncompat.support.table import Row

_MOST = 20_000
"""Looks that are kept: a model without any alike must not fill the memory."""


_OPEN = "open"
"""Decided for each node by itself."""
_Decision = Truth | str


class _Candidates(NamedTuple):
    """Rows that a node's own look does not exclude.

    Attributes:
        rows: All of them, in the order of the file.
        decided: What the looks of values say about them: those that are not False.
    """

    rows: tuple[Row, ...]
    decided: dict[Hashable, tuple[tuple[Row, _Decision], ...]]


class AlikeNodes:
    """What was decided, for one table."""

    def __init__(self) -> None:
        self._own: dict[Hashable, _Candidates] = {}

    def truths(self, rows: Sequence[Row], facts: NodeFacts, version: str) -> list[tuple[Row, Truth]]:
        """The rows of an op type that hold, or may hold, for a node under a release, in order."""
        look = _own_look(facts)
        if look is None:
            alone = [(row, row.holds(facts)) for row in rows if row.holds_for(version)]
            return [each for each in alone if each[1] is not False]
        key = (version, *look)
        known = self._own.get(key)
        if known is None:
            _limit(self._own)
            left = (row for row in rows if row.holds_for(version) and not row.when.fails_by_itself(facts))
            known = self._own[key] = _Candidates(tuple(left), {})
        found: list[tuple[Row, Truth]] = []
        for row, decision in self._decided(known, facts) if known.rows else ():
            truth = row.holds(facts) if isinstance(decision, str) else decision
            if truth is not False:
                found.append((row, truth))
        return found

    def _decided(self, known: _Candidates, facts: NodeFacts) -> tuple[tuple[Row, _Decision], ...]:
        look = _values_look(facts)
        if look not in known.decided:
            _limit(known.decided)
            decisions = ((row, _decision(row, facts)) for row in known.rows)
            known.decided[look] = tuple(each for each in decisions if each[1] is not False)
        return known.decided[look]


def _values_look(facts: NodeFacts) -> Hashable:
    view = facts.view
    seen: dict[str, int] = view.kept.setdefault("looks of values", {"": -1})
    operands, results = list(facts.node.input), list(facts.node.output)
    for name in operands + results:
        if name not in seen:
            seen[name] = _number((view.dtype(name), view.shape(name), facts.is_constant(name)))
    outputs = tuple([name in view.outputs for name in results])
    return tuple([seen[name] for name in operands]), tuple([seen[name] for name in results]), outputs


def _number(look: Hashable) -> int:
    """A number that stands for a look: it is compared faster."""
    found = _NUMBERS.get(look)
    if found is None:
        _limit(_NUMBERS)
        found = _NUMBERS[look] = next(_UNUSED)
    return found


_NUMBERS: dict[Hashable, int] = {}
_UNUSED = count()


def _decision(row: Row, facts: NodeFacts) -> _Decision:
    if row.when.is_described and row.unless.is_described:
        return row.holds(facts)
    return False if row.when.fails_by_look(facts) else _OPEN


def _own_look(facts: NodeFacts) -> tuple[Hashable, ...] | None:
    """What a node states itself; None if it holds tensors or graphs."""
    node = facts.node
    stated = plain_attributes(node)
    return None if stated is None else (node.op_type, facts.opset, len(node.input), len(node.output), stated)


def _limit(known: dict[Hashable, Any]) -> None:
    if len(known) >= _MOST:
        known.clear()
