"""What a row may say about operands and results: ``input.N`` and ``output.N``, their states and properties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mnncompat.support.condition_values import (
    Word,
    fail,
    one_or_several,
    parse_count,
    parse_quantified,
    require_known,
    require_table,
)
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.three_valued import Truth, all_of, any_of

Test = Callable[[NodeFacts], Truth]
Probe = Callable[[NodeFacts, str | None], Truth]
ValueTest = Callable[[NodeFacts, str], Truth]

DTYPES = (
    *("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL", "STRING", "COMPLEX64", "COMPLEX128"),
    *("INT64", "INT32", "INT16", "INT8", "INT4", "INT2", "UINT64", "UINT32", "UINT16", "UINT8", "UINT4", "UINT2"),
    *("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0"),
    *("FLOAT6E2M3", "FLOAT6E3M2", "FLOAT4E2M1"),
)
"""ONNX's names of element types, including those that an older onnx does not know."""

ORIGINS = ("input", "initializer", "outer")
"""Sources of a value other than a node: a graph input, an initializer, the graph around this one."""

_DROPPED = ("Identity",)
_MOST_DIMENSIONS = 64


class State(NamedTuple):
    """A state of an operand or a result.

    Attributes:
        meaning: When it holds.
        probe: The test; it gets the value's name, None for an operand that is left out.
        of_absent: Whether it can hold for an operand that is left out.
    """

    meaning: str
    probe: Probe
    of_absent: bool = False


class _Kind(NamedTuple):
    """In what the predicates of operands and results differ."""

    subject: str
    states: Mapping[str, State]
    properties: Mapping[str, Word]
    pick: Callable[[NodeFacts, int], str | None]
    names: Callable[[NodeFacts], Iterable[str]]


def parse_operands(data: Any, where: str) -> list[Test]:
    """Tests of ``input.N``.

    Raises:
        TableError: A position, state or property is not in the vocabulary.
    """
    kind = _Kind("input", INPUT_STATES, PROPERTIES, NodeFacts.operand, lambda facts: facts.node.input)
    return _parse_values(data, where, kind)


def parse_results(data: Any, where: str) -> list[Test]:
    """Tests of ``output.N``.

    Raises:
        TableError: A position, state or property is not in the vocabulary.
    """
    kind = _Kind("output", OUTPUT_STATES, RESULT_PROPERTIES, NodeFacts.result, lambda facts: facts.node.output)
    return _parse_values(data, where, kind)


def _parse_values(data: Any, where: str, kind: _Kind) -> list[Test]:
    tests: list[Test] = []
    for position, wanted in require_table(data, where, kind.subject).items():
        subject = f"{kind.subject}.{position}"
        table = {"is": wanted} if not isinstance(wanted, Mapping) else require_table(wanted, where, subject)
        probes = [_value_probe(key, argument, where, subject, kind) for key, argument in table.items()]
        _require_meaning(position, table, where, kind)
        tests.append(_positioned(position, probes, where, kind))
    return tests


def _require_meaning(position: str, table: Mapping[str, Any], where: str, kind: _Kind) -> None:
    """Reject a condition that can never hold, or always holds, although each word is valid."""
    state = str(table.get("is"))
    subject = f"{kind.subject}.{position}"
    if position in ("any", "all") and state in ("present", "absent"):
        fail(where, f"{subject} is about those that are present: it cannot ask whether they are {state}")
    if len(table) > 1 and state in kind.states and kind.states[state].of_absent:
        fail(where, f"{subject} cannot be {state} and have properties: what is left out has none")
    if state == "runtime" and "value" in table:
        fail(where, f"{subject} cannot be runtime and have a value: only constants have one")
    if "rank" in table and "dim" in table:
        matches = parse_count(table["rank"], where, f"{subject}.rank")
        axes = [int(axis) for axis in table["dim"]]
        least = max(axis + 1 if axis >= 0 else -axis for axis in axes)
        if not any(matches(rank) for rank in range(least, least + _MOST_DIMENSIONS)):
            fail(where, f"{subject}.rank = {table['rank']!r}: it has no axis {max(axes, key=abs)} then")


def _positioned(position: str, probes: list[Probe], where: str, kind: _Kind) -> Test:
    if position in ("any", "all"):
        combine = {"any": any_of, "all": all_of}[position]
        return lambda facts: combine(
            all_of(probe(facts, name) for probe in probes) for name in kind.names(facts) if name
        )
    if not _is_integer(position):
        fail(where, f"{kind.subject}.{position}: a position is a number from 0 (or -1 from the end), any or all")
    number, pick = int(position), kind.pick
    return lambda facts: all_of(probe(facts, pick(facts, number)) for probe in probes)


def _value_probe(key: str, argument: Any, where: str, subject: str, kind: _Kind) -> Probe:
    if key == "is":
        return kind.states[require_known(argument, tuple(kind.states), where, f"state of {subject}")].probe
    require_known(key, ("is", *kind.properties), where, f"property of {subject}")
    known = kind.properties[key].parse(argument, where, f"{subject}.{key}")
    return lambda facts, name: False if name is None else known(facts, name)


# ---- properties ----------------------------------------------------------------------------------------------------


def _dtype(argument: Any, where: str, what: str) -> ValueTest:
    wanted = [require_known(name, DTYPES, where, f"dtype in {what}") for name in one_or_several(argument, where, what)]

    def test(facts: NodeFacts, name: str) -> Truth:
        dtype = facts.dtype(name)
        return None if dtype is None else dtype in wanted

    return test


def _rank(argument: Any, where: str, what: str) -> ValueTest:
    matches = parse_count(argument, where, what)
    return lambda facts, name: matches(facts.rank(name))


def _elements(argument: Any, where: str, what: str) -> ValueTest:
    matches = parse_count(argument, where, what)
    return lambda facts, name: matches(facts.elements(name))


def _dims(argument: Any, where: str, what: str) -> ValueTest:
    ranges = {
        _axis(axis, where, what): parse_count(text, where, f"{what}.{axis}")
        for axis, text in require_table(argument, where, what).items()
    }

    def test(facts: NodeFacts, name: str) -> Truth:
        shape = facts.shape(name)
        if shape is None:
            return None
        return all_of(
            matches(dim if isinstance(dim := shape[axis], int) else None) if -len(shape) <= axis < len(shape) else False
            for axis, matches in ranges.items()
        )

    return test


def _is_integer(text: str) -> bool:
    """True if a string is an integer as Python writes it: without leading zeros, and 0 without a sign."""
    digits = text.removeprefix("-")
    return digits.isdecimal() and str(int(text)) == text


def _axis(text: str, where: str, what: str) -> int:
    if not _is_integer(text):
        fail(where, f"{what}.{text}: an axis is a number from 0, or from the end from -1")
    return int(text)


def _value(argument: Any, where: str, what: str) -> ValueTest:
    table = require_table(argument, where, what)
    for key in table:
        require_known(key, ("any", "all"), where, f"test of {what}")
    tests = [parse_quantified(key, text, where, f"{what}.{key}") for key, text in table.items()]

    def test(facts: NodeFacts, name: str) -> Truth:
        numbers = facts.numbers_through_casts(name)
        return None if numbers is None else all_of(test(numbers) for test in tests)

    return test


def _producer(argument: Any, where: str, what: str) -> ValueTest:
    wanted = one_or_several(argument, where, what)
    for op in wanted:
        if op in _DROPPED:
            fail(where, f"{what}: {op} is looked through, and never found")
        if op not in ORIGINS and not (isinstance(op, str) and op.isalnum() and op[0].isupper()):
            fail(where, f"{what}: {op!r} is neither an op type nor one of {', '.join(ORIGINS)}")
    return lambda facts, name: facts.producer(name) in wanted


RESULT_PROPERTIES: dict[str, Word] = {
    "dtype": Word("Its element type is one of these, by ONNX's names.", 'input.0.dtype = ["INT32", "INT64"]', _dtype),
    "rank": Word("Its number of dimensions lies in a range.", 'input.0.rank = ">4"', _rank),
    "elements": Word("Its number of elements lies in a range.", "input.1.elements = 1", _elements),
    "dim": Word("Its size along an axis lies in a range; False if it has no such axis.", "input.0.dim.-1 = 1", _dims),
}
"""Properties of results."""

PROPERTIES: dict[str, Word] = {
    **RESULT_PROPERTIES,
    "value": Word("Any or all elements of a constant lie in a range.", 'input.1.value.any = "<0"', _value),
    "producer": Word(
        "The op type that computes it, looking through Identity, is one of these; or it is an `input` of the graph, an "
        "`initializer`, or a value of the graph around this one (`outer`).",
        'input.0.producer = ["Relu", "input"]',
        _producer,
    ),
}
"""Properties of operands that a row may compare. All are False for an operand that is left out."""

INPUT_STATES: dict[str, State] = {
    "present": State("The node lists it under a name.", lambda _, name: name is not None),
    "absent": State("The node does not list it, or under an empty name.", lambda _, name: name is None, of_absent=True),
    "constant": State(
        "It is known before the model runs: stored, or computed from nothing but such values.",
        lambda facts, name: name is not None and facts.is_constant(name),
    ),
    "runtime": State(
        "It is present and known only when the model runs.",
        lambda facts, name: name is not None and not facts.is_constant(name),
    ),
}
"""States of operands."""

OUTPUT_STATES: dict[str, State] = {
    "present": State("The node lists it under a name.", lambda _, name: name is not None),
    "absent": State("The node does not list it, or under an empty name.", lambda _, name: name is None, of_absent=True),
    "used": State(
        "A node reads it, or it is an output.", lambda facts, name: name is not None and is_used(facts, name)
    ),
    "unused": State(
        "Nothing reads it, or it is absent.",
        lambda facts, name: name is None or not is_used(facts, name),
        of_absent=True,
    ),
    "graph-output": State(
        "It is an output of the graph that the node is in.",
        lambda facts, name: name is not None and name in facts.view.outputs,
    ),
}
"""States of results."""


def is_used(facts: NodeFacts, name: str) -> bool:
    """Whether a node reads a value, or it is an output of its graph, or a graph inside reads it."""
    return name in facts.view.consumers or facts.view.is_external_use(name)
