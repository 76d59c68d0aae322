"""The closed vocabulary in which a row of the table states when it holds.

A condition is a table of predicates that must all hold, or a list of such tables of which one must::

    when = { opset = ">=18", input.1 = "present", attr.keepdims = 1 }

The predicates are in `PREDICATES`; ``docs/row-language.md``, which is generated from it, explains all of them.
Evaluation is three-valued: True, False, or None where the model does not tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from mnncompat.support.attribute_conditions import parse_attributes
from mnncompat.support.condition_values import Word, fail, one_or_several, parse_count, require_known
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import Test, parse_operands, parse_results
from mnncompat.support.relations.registry import Relation, relation_named, relation_names
from mnncompat.support.three_valued import Truth, all_of

_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


class Condition:
    """A disjunction of conjunctions of tests, cheap tests first.

    Args:
        data: A list of tables of predicates, as TOML gave them.
        where: File and row, for error messages.
        defaults: Defaults of the op type's attributes.
    """

    __slots__ = ("_clauses", "_data")

    def __init__(self, data: Sequence[Mapping[str, Any]], where: str, defaults: Mapping[str, Any]) -> None:
        self._data = data
        self._clauses = tuple(_Clause(clause, where, defaults) for clause in data)

    @property
    def text(self) -> str:
        """The condition as a row states it, on one line; empty if it always holds."""
        return " or ".join(filter(None, (", ".join(_stated(clause)) for clause in self._data)))

    def holds(self, facts: NodeFacts) -> Truth:
        """Evaluate the condition on a node; None if the model does not say enough, or the node is malformed."""
        try:
            return self._holds(facts)
        except (IndexError, TypeError, ValueError, ZeroDivisionError):  # a node that onnx.checker would reject
            return None

    def _holds(self, facts: NodeFacts) -> Truth:
        found: Truth = False
        for clause in self._clauses:  # by hand: generators cost more than most tests
            truth = clause.holds(facts)
            if truth is True:
                return True
            if truth is None:
                found = None
        return found

    def fails_by_itself(self, facts: NodeFacts) -> bool:
        """True if it fails for what the node itself states: opset, numbers of operands and results, attributes."""
        return _fails(facts, (clause.own_tests() for clause in self._clauses))

    def left_for(self, facts: NodeFacts) -> tuple[tuple[Test, ...], ...]:
        """What nodes that look like this one are still to be asked, for `any_holds`; clauses that fail are left out.

        They are alike in what they state themselves, in state, type and shape of their values, in the op types of the
        nodes that compute their operands, in whether a node holds their graph, and in which operators of `WATCHED` it
        has.
        """
        return tuple(left for clause in self._clauses if (left := clause.left_for(facts)) is not None)

    @property
    def is_described(self) -> bool:
        """True if it asks for nothing but what the node itself states, and state, type and shape of its values."""
        return all(map(_is_described, self._data))

    def require_valid(self, where: str) -> None:
        """Build all tests.

        Raises:
            TableError: A predicate is not in the vocabulary, or its argument does not fit.
        """
        built = [tuple(clause.tests()) for clause in self._clauses]
        if len(built) > 1 and () in built:
            fail(where, "an empty table in a list of conditions makes the others pointless: it always holds")


class _Clause:
    """A conjunction. Tests are built when a node is first seen for which those before them hold."""

    __slots__ = ("_apart", "_built", "_data", "_defaults", "_left", "_own", "_where")

    def __init__(self, data: Mapping[str, Any], where: str, defaults: Mapping[str, Any]) -> None:
        if not isinstance(data, Mapping):
            fail(where, f"a condition must be a table, not {data!r}")
        for subject in data:
            require_known(subject, tuple(PREDICATES), where, "predicate")
        self._left = [(subject, data[subject]) for subject in PREDICATES if subject in data]
        self._where, self._defaults = where, defaults
        self._built: list[Test] = []
        self._own = 0
        self._data = data
        self._apart: _Apart | None = None

    def holds(self, facts: NodeFacts) -> Truth:
        """Whether all tests hold; stops at the first that does not."""
        result: Truth = True
        for test in self.tests() if self._left else self._built:
            truth = test(facts)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    def tests(self) -> Iterator[Test]:
        """The tests, in the order of their cost."""
        yield from self._built
        while self._left:
            yield from self._build()

    def own_tests(self) -> Sequence[Test]:
        """Those of what the node itself states, which come first."""
        while self._left and self._left[0][0] in _OF_THE_NODE:
            self._own += len(self._build())
        return self._built[: self._own]

    def left_for(self, facts: NodeFacts) -> tuple[Test, ...] | None:
        """What is left to ask of nodes that look like this one; None if the clause fails for all of them."""
        if self._apart is None:
            self._apart = _apart(self._data, self._where)
        looks, first, behind, within, nested, others = self._apart
        if (nested and facts.view.parent is None) or any(map(facts.lacks, within)):
            return None
        if any(facts.ops_before.isdisjoint(ops) for ops in behind):
            return None
        try:
            truths = [test(facts) for test in (*self.own_tests(), *looks)]
            if False in truths or any(test(facts) is False for test in first):
                return None
        except (IndexError, TypeError, ValueError, ZeroDivisionError):
            return tuple(self.tests())
        return tuple(self.tests()) if None in truths else others

    def _build(self) -> Sequence[Test]:
        """Build the tests of the next predicate."""
        subject, data = self._left[0]
        if subject == "attr":
            tests = parse_attributes(data, self._where, self._defaults)
        else:
            tests = PREDICATES[subject].parse(data, self._where)
        del self._left[0]
        self._built += tests
        return tests


def parse_condition(
    data: Any, where: str, defaults: Mapping[str, Any] = _NO_DEFAULTS, *, trusted: bool = False
) -> Condition:
    """Build a condition from what TOML gave.

    Args:
        data: A table of predicates, or a list of them; an empty table always holds.
        where: File and row, for error messages.
        defaults: Defaults of the op type's attributes.
        trusted: It was accepted before: what it says is looked at when it is first needed.

    Raises:
        TableError: A predicate is not in the vocabulary, or its argument does not fit.
    """
    clauses = one_or_several(data, where, "a condition")
    condition = Condition(clauses, where, defaults)
    if not trusted:
        condition.require_valid(where)
    return condition


class _Apart(NamedTuple):
    """The tests of a clause by what they ask for; those of what the node itself states are in neither.

    Attributes:
        looks: Of state, type and shape of the node's values.
        first: The parts of relations that ask for no more.
        behind: Op types of which one must compute an operand, one set for each relation that has them.
        within: Op types of which the graph must have one, likewise.
        nested: Whether it can hold in a graph that a node holds only.
        others: All others.
    """

    looks: tuple[Test, ...]
    first: tuple[Test, ...]
    behind: tuple[frozenset[str], ...]
    within: tuple[frozenset[str], ...]
    nested: bool
    others: tuple[Test, ...]


def _apart(clause: Mapping[str, Any], where: str) -> _Apart:
    looks: list[Test] = []
    others: list[Test] = []
    for side, parse in (("output", parse_results), ("input", parse_operands)):
        for at, asked in clause.get(side, {}).items():
            (looks if _is_look(asked) else others).extend(parse({at: asked}, where))
    relations = _relations(clause, where)
    looks += [each.test for each in relations if each.of_types]
    others += [each.test for each in relations if not each.of_types]
    behind = tuple(each.behind for each in relations if each.behind is not None)
    first = tuple(each.first for each in relations if each.first is not None)
    within = tuple(each.within for each in relations if each.within is not None)
    return _Apart(tuple(looks), first, behind, within, any(each.nested for each in relations), tuple(others))


def any_holds(clauses: Sequence[Sequence[Test]], facts: NodeFacts) -> Truth:
    """Whether all tests of one of the clauses hold; None if the model does not say enough, or the node is malformed."""
    found: Truth = False
    try:
        for clause in clauses:
            truth = all_of(test(facts) for test in clause)
            if truth is True:
                return True
            if truth is None:
                found = None
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        return None
    return found


_OF_THE_NODE = ("opset", "inputs", "outputs", "attr")
_STATES = ("present", "absent", "constant", "runtime", "graph-output")
_PROPERTIES = frozenset(("is", "dtype", "rank", "elements", "dim"))


def _is_described(clause: Mapping[str, Any]) -> bool:
    """Whether a clause asks for nothing beyond the node and its values."""
    asked = (each for side in ("input", "output") for each in clause.get(side, {}).values())
    return all(each.of_types for each in _relations(clause, "")) and all(map(_is_look, asked))


def _is_look(asked: Any) -> bool:
    """Whether no more is asked of a value than its state, type and shape."""
    table = asked if isinstance(asked, Mapping) else {"is": asked}
    return _PROPERTIES.issuperset(table) and table.get("is", "present") in _STATES


def _fails(facts: NodeFacts, clauses: Iterator[Sequence[Test]]) -> bool:
    """Whether one of the tests of each clause is False."""
    try:
        return all(any(test(facts) is False for test in tests) for tests in clauses)
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        return False


def _stated(data: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The leaves of a clause: ``attr.strides.given = false``."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _stated(value, f"{path}{key}.")
        else:
            yield f"{path}{key} = {json.dumps(value, ensure_ascii=False)}"


def _parse_opset(data: Any, where: str) -> list[Test]:
    matches = parse_count(data, where, "opset")
    return [lambda facts: matches(facts.opset)]


def _parse_inputs(data: Any, where: str) -> list[Test]:
    matches = parse_count(data, where, "inputs")
    return [lambda facts: matches(len(facts.node.input))]


def _parse_outputs(data: Any, where: str) -> list[Test]:
    matches = parse_count(data, where, "outputs")
    return [lambda facts: matches(len(facts.node.output))]


def _parse_relations(data: Any, where: str) -> list[Test]:
    return [each.test for each in _relations({"relation": data}, where)]


def _relations(clause: Mapping[str, Any], where: str) -> list[Relation]:
    found: list[Relation] = []
    for name in one_or_several(clause["relation"], where, "relation") if "relation" in clause else ():
        each = relation_named(require_known(name, relation_names(), where, "relation"))
        if each is None:
            fail(where, f"{name} is a function among the relations, but not registered as one")
        found.append(each)
    return found


# In order of cost: what the node itself states comes before what needs shape inference.
PREDICATES: dict[str, Word] = {
    "opset": Word("The opset of ONNX's own domain lies in a range.", 'opset = ">=13,<18"', _parse_opset),
    "inputs": Word("The number of operands that the node lists lies in a range.", 'inputs = ">2"', _parse_inputs),
    "outputs": Word("The number of results that the node lists lies in a range.", "outputs = 1", _parse_outputs),
    "attr": Word("An attribute, by name: a value, or a table of tests.", "attr.keepdims = 0", parse_attributes),
    "output": Word(
        "A result, by position (`-1`: the last; `any`, `all`: of those that are present): a state, or a table of `is` "
        "(a state) and properties.",
        'output.1 = "used"',
        parse_results,
    ),
    "input": Word(
        "An operand, by position (as of `output`): a state, or a table of `is` (a state) and properties.",
        'input.1 = "constant"',
        parse_operands,
    ),
    "relation": Word(
        "A named comparison of several operands, attributes and neighbours, or several that must all hold.",
        'relation = "operand-shapes-differ"',
        _parse_relations,
    ),
}
"""The predicates that a condition may hold."""
