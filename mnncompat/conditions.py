"""The closed vocabulary in which a row of the table says when it holds.

A condition is a table of predicates that must all hold, or a list of such tables of which one must::

    when = { opset = ">=18", input.1 = "present", attr.keepdims = 1 }

* ``opset``, ``inputs``, ``outputs``: a range (``">=13,<18"``, ``"!=2"``, ``"4"``) for the opset and for the number of
  operands and results that the node lists.
* ``attr.NAME``: a value or a list of values it must be one of, or a table of ``given`` (stated in the node), ``is``,
  ``not``, and for numbers ``any``, ``all``, ``length`` (ranges). One that is left out has its schema's default.
* ``input.N``, ``output.N`` (``-1``: the last; ``any``/``all``: over those that are present): a state, or a table of
  ``is`` (a state), ``dtype``, ``rank``, ``elements``, ``dim`` (ranges by axis), ``value`` (``any``, ``all``: ranges
  over the elements of a constant) and ``producer`` (op types).
  States of inputs: present, absent, constant, runtime; of outputs: present, absent, used, unused, graph-output.
* ``relation``: names from `mnncompat.relations`, which compare several operands.

Evaluation is three-valued: True, False, or None where the model does not say.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from mnncompat.errors import TableError
from mnncompat.facts import NodeFacts
from mnncompat.relations import RELATIONS

Truth = bool | None
Test = Callable[[NodeFacts], Truth]
RangeTest = Callable[[float | None], Truth]

_HINT = "see the docstring of mnncompat/conditions.py for the vocabulary"
_OPERATORS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    (">=", operator.ge),
    ("<=", operator.le),
    ("!=", operator.ne),
    ("==", operator.eq),
    (">", operator.gt),
    ("<", operator.lt),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A disjunction of conjunctions of tests, cheap tests first."""

    clauses: tuple[tuple[Test, ...], ...]

    def holds(self, facts: NodeFacts) -> Truth:
        """Evaluate the condition on a node; None if the model does not say enough."""
        return any_of(all_of(test(facts) for test in clause) for clause in self.clauses)


def all_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued conjunction; stops at the first False."""
    result: Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is None:
            result = None
    return result


def any_of(truths: Iterable[Truth]) -> Truth:
    """Three-valued disjunction; stops at the first True."""
    result: Truth = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            result = None
    return result


def parse_condition(data: Any, where: str) -> Condition:
    """Build a condition from what TOML gave.

    Args:
        data: A table of predicates, or a list of them.
        where: File and row, for error messages.

    Raises:
        TableError: A predicate is not in the vocabulary, or its argument does not fit.
    """
    clauses = data if isinstance(data, list) else [data]
    return Condition(tuple(_parse_clause(clause, where) for clause in clauses))


def _parse_clause(data: Any, where: str) -> tuple[Test, ...]:
    unknown = sorted(set(_table(data, where)) - _SUBJECTS.keys())
    if unknown:
        _fail(where, f"unknown predicate {unknown[0]!r}")
    return tuple(
        test for subject, parse in _SUBJECTS.items() if subject in data for test in parse(data[subject], where)
    )


def _fail(where: str, message: str) -> NoReturn:
    raise TableError(f"{where}: {message}", hint=_HINT)


def _table(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        _fail(where, f"a table was expected, not {data!r}")
    return data


# ---- ranges --------------------------------------------------------------------------------------------------------


def parse_range(text: Any, where: str) -> RangeTest:
    """Build a test from a range such as ``">=2,<5"`` or a plain number.

    Raises:
        TableError: It is neither.
    """
    bounds = [_bound(part.strip(), where) for part in str(text).split(",")]

    def test(value: float | None) -> Truth:
        return None if value is None else all(compare(value, limit) for compare, limit in bounds)

    return test


def _bound(part: str, where: str) -> tuple[Callable[[float, float], bool], float]:
    sign, compare = next(((sign, f) for sign, f in _OPERATORS if part.startswith(sign)), ("", operator.eq))
    try:
        return compare, float(part[len(sign) :])
    except ValueError:
        _fail(where, f"{part!r} is not a range")


def _quantified(quantifier: str, text: Any, where: str) -> Callable[[Any], Truth]:
    matches = parse_range(text, where)
    combine = {"any": any_of, "all": all_of}[quantifier]

    def test(values: Any) -> Truth:
        return combine(matches(float(value)) for value in values)

    return test


# ---- opset and counts ----------------------------------------------------------------------------------------------


def _parse_opset(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(facts.opset)]


def _parse_inputs(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(len(facts.node.input))]


def _parse_outputs(data: Any, where: str) -> list[Test]:
    matches = parse_range(data, where)
    return [lambda facts: matches(len(facts.node.output))]


def _parse_relations(data: Any, where: str) -> list[Test]:
    names = [data] if isinstance(data, str) else data
    for name in names:
        if name not in RELATIONS:
            _fail(where, f"unknown relation {name!r}")
    return [RELATIONS[name] for name in names]


# ---- attributes ----------------------------------------------------------------------------------------------------


def _parse_attributes(data: Any, where: str) -> list[Test]:
    tests: list[Test] = []
    for name, wanted in _table(data, where).items():
        table = wanted if isinstance(wanted, Mapping) else {"is": wanted}
        tests.extend(_attribute_test(name, key, argument, where) for key, argument in table.items())
    return tests


def _attribute_test(name: str, key: str, argument: Any, where: str) -> Test:
    if key == "given":
        return lambda facts: facts.given(name) is argument
    if key in ("is", "not"):
        values = argument if isinstance(argument, list) else [argument]
        return lambda facts: (facts.attribute(name) in values) is (key == "is")
    if key == "length":
        matches = parse_range(argument, where)
        return lambda facts: matches(len(facts.attribute(name) or ()))
    if key in ("any", "all"):
        quantified = _quantified(key, argument, where)
        return lambda facts: quantified(_numbers(facts.attribute(name)))
    _fail(where, f"unknown test {key!r} of attribute {name!r}")


def _numbers(value: Any) -> list[float]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


# ---- operands and results ------------------------------------------------------------------------------------------

Probe = Callable[[NodeFacts, str | None], Truth]


def _parse_operands(data: Any, where: str) -> list[Test]:
    return _parse_values(data, where, NodeFacts.operand, lambda facts: facts.node.input, _INPUT_STATES)


def _parse_results(data: Any, where: str) -> list[Test]:
    return _parse_values(data, where, NodeFacts.result, lambda facts: facts.node.output, _OUTPUT_STATES)


def _parse_values(
    data: Any,
    where: str,
    pick: Callable[[NodeFacts, int], str | None],
    names: Callable[[NodeFacts], Iterable[str]],
    states: Mapping[str, Probe],
) -> list[Test]:
    tests: list[Test] = []
    for position, wanted in _table(data, where).items():
        table = wanted if isinstance(wanted, Mapping) else {"is": wanted}
        probes = [_value_probe(key, argument, where, states) for key, argument in table.items()]
        tests.append(_positioned(position, probes, where, pick, names))
    return tests


def _positioned(
    position: str,
    probes: list[Probe],
    where: str,
    pick: Callable[[NodeFacts, int], str | None],
    names: Callable[[NodeFacts], Iterable[str]],
) -> Test:
    if position in ("any", "all"):
        combine = {"any": any_of, "all": all_of}[position]
        return lambda facts: combine(all_of(probe(facts, name) for probe in probes) for name in names(facts) if name)
    try:
        number = int(position)
    except ValueError:
        _fail(where, f"{position!r} is not a position")
    return lambda facts: all_of(probe(facts, pick(facts, number)) for probe in probes)


def _value_probe(key: str, argument: Any, where: str, states: Mapping[str, Probe]) -> Probe:
    if key == "is":
        if argument not in states:
            _fail(where, f"unknown state {argument!r}")
        return states[argument]
    if key not in _PROPERTIES:
        _fail(where, f"unknown property {key!r}")
    known = _PROPERTIES[key](argument, where)
    return lambda facts, name: False if name is None else known(facts, name)


def _dtype(argument: Any, _where: str) -> Callable[[NodeFacts, str], Truth]:
    wanted = argument if isinstance(argument, list) else [argument]

    def test(facts: NodeFacts, name: str) -> Truth:
        dtype = facts.dtype(name)
        return None if dtype is None else dtype in wanted

    return test


def _rank(argument: Any, where: str) -> Callable[[NodeFacts, str], Truth]:
    matches = parse_range(argument, where)
    return lambda facts, name: matches(facts.rank(name))


def _elements(argument: Any, where: str) -> Callable[[NodeFacts, str], Truth]:
    matches = parse_range(argument, where)
    return lambda facts, name: matches(facts.elements(name))


def _dims(argument: Any, where: str) -> Callable[[NodeFacts, str], Truth]:
    ranges = {int(axis): parse_range(text, where) for axis, text in _table(argument, where).items()}

    def test(facts: NodeFacts, name: str) -> Truth:
        shape = facts.shape(name)
        if shape is None:
            return None
        return all_of(
            matches(dim if isinstance(dim := shape[axis], int) else None) if -len(shape) <= axis < len(shape) else False
            for axis, matches in ranges.items()
        )

    return test


def _value(argument: Any, where: str) -> Callable[[NodeFacts, str], Truth]:
    tests = [_quantified(key, text, where) for key, text in _table(argument, where).items()]

    def test(facts: NodeFacts, name: str) -> Truth:
        constant = facts.constant(name)
        return None if constant is None else all_of(test(constant.flat) for test in tests)

    return test


def _producer(argument: Any, _where: str) -> Callable[[NodeFacts, str], Truth]:
    wanted = argument if isinstance(argument, list) else [argument]
    return lambda facts, name: facts.producer(name) in wanted


_PROPERTIES: dict[str, Callable[[Any, str], Callable[[NodeFacts, str], Truth]]] = {
    "dtype": _dtype,
    "rank": _rank,
    "elements": _elements,
    "dim": _dims,
    "value": _value,
    "producer": _producer,
}

_INPUT_STATES: dict[str, Probe] = {
    "present": lambda _, name: name is not None,
    "absent": lambda _, name: name is None,
    "constant": lambda facts, name: name is not None and facts.is_constant(name),
    "runtime": lambda facts, name: name is not None and not facts.is_constant(name),
}

_OUTPUT_STATES: dict[str, Probe] = {
    "present": lambda _, name: name is not None,
    "absent": lambda _, name: name is None,
    "used": lambda facts, name: name is not None and _is_used(facts, name),
    "unused": lambda facts, name: name is None or not _is_used(facts, name),
    "graph-output": lambda facts, name: name is not None and name in facts.view.outputs,
}


def _is_used(facts: NodeFacts, name: str) -> bool:
    return name in facts.view.consumers or facts.view.is_external_use(name)


# In order of cost: what the node says about itself comes before what shape inference has to find out.
_SUBJECTS: dict[str, Callable[[Any, str], list[Test]]] = {
    "opset": _parse_opset,
    "inputs": _parse_inputs,
    "outputs": _parse_outputs,
    "attr": _parse_attributes,
    "output": _parse_results,
    "input": _parse_operands,
    "relation": _parse_relations,
}
