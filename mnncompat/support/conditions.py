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
from typing import Any

from mnncompat.support.attribute_conditions import parse_attributes
from mnncompat.support.condition_values import Word, fail, one_or_several, parse_count, require_known
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import Test, parse_operands, parse_results
from mnncompat.support.relations.registry import relation_named, relation_names
from mnncompat.support.three_valued import Truth

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

    def fails_by_look(self, facts: NodeFacts) -> bool:
        """True if it fails for that, or for state, type or shape of the node's values."""
        return self.fails_by_itself(facts) or _fails(facts, (clause.look_tests() for clause in self._clauses))

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

    __slots__ = ("_built", "_data", "_defaults", "_left", "_look", "_own", "_where")

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
        self._look: list[Test] | None = None

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

    def look_tests(self) -> Sequence[Test]:
        """Tests of state, type and shape of values, built apart from `tests`."""
        if self._look is None:
            self._look = [
                test
                for side, parse in (("input", parse_operands), ("output", parse_results))
                if (asked := {at: each for at, each in self._data.get(side, {}).items() if _is_look(each)})
                for test in parse(asked, self._where)
            ]
        return self._look

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


_OF_THE_NODE = ("opset", "inputs", "outputs", "attr")
_STATES = ("present", "absent", "constant", "runtime", "graph-output")
_PROPERTIES = frozenset(("is", "dtype", "rank", "elements", "dim"))


def _is_described(clause: Mapping[str, Any]) -> bool:
    """Whether a clause asks for nothing beyond the node and its values."""
    asked = (each for side in ("input", "output") for each in clause.get(side, {}).values())
    return "relation" not in clause and all(map(_is_look, asked))


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
    tests: list[Test] = []
    for name in one_or_several(data, where, "relation"):
        found = relation_named(require_known(name, relation_names(), where, "relation"))
        if found is None:
            fail(where, f"{name} is a function among the relations, but not registered as one")
        tests.append(found.test)
    return tests


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
