"""Conditions on operands and results; see `mnncompat.support.conditions` for the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.three_valued import Truth, all_of, any_of, fail, parse_quantified, parse_range, require_table

Test = Callable[[NodeFacts], Truth]
Probe = Callable[[NodeFacts, str | None], Truth]


def parse_operands(data: Any, where: str) -> list[Test]:
    """Tests of ``input.N``.

    Raises:
        TableError: A state or property is not in the vocabulary.
    """
    return _parse_values(data, where, NodeFacts.operand, lambda facts: facts.node.input, _INPUT_STATES)


def parse_results(data: Any, where: str) -> list[Test]:
    """Tests of ``output.N``.

    Raises:
        TableError: A state or property is not in the vocabulary.
    """
    return _parse_values(data, where, NodeFacts.result, lambda facts: facts.node.output, _OUTPUT_STATES)


def _parse_values(
    data: Any,
    where: str,
    pick: Callable[[NodeFacts, int], str | None],
    names: Callable[[NodeFacts], Iterable[str]],
    states: Mapping[str, Probe],
) -> list[Test]:
    tests: list[Test] = []
    for position, wanted in require_table(data, where).items():
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
        fail(where, f"{position!r} is not a position")
    return lambda facts: all_of(probe(facts, pick(facts, number)) for probe in probes)


def _value_probe(key: str, argument: Any, where: str, states: Mapping[str, Probe]) -> Probe:
    if key == "is":
        if argument not in states:
            fail(where, f"unknown state {argument!r}")
        return states[argument]
    if key not in _PROPERTIES:
        fail(where, f"unknown property {key!r}")
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
    ranges = {int(axis): parse_range(text, where) for axis, text in require_table(argument, where).items()}

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
    tests = [parse_quantified(key, text, where) for key, text in require_table(argument, where).items()]

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
