"""What a row may say about attributes: ``attr.NAME``, with the tests of a value and of lists of numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from mnncompat.support.condition_values import (
    Word,
    fail,
    looks_like_range,
    one_or_several,
    parse_count,
    parse_quantified,
    parse_range,
    require_known,
    require_table,
)
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import Test


def parse_attributes(data: Any, where: str, defaults: Mapping[str, Any]) -> list[Test]:
    """Tests of ``attr.NAME``.

    Args:
        data: What the row says, by attribute.
        where: File and row, for error messages.
        defaults: Defaults of the op type's attributes: their types are those of the attributes.

    Raises:
        TableError: A test is not in the vocabulary, or its argument cannot be the attribute's.
    """
    tests: list[Test] = []
    for name, wanted in require_table(data, where, "attr").items():
        subject = f"attr.{name}"
        table = {"is": wanted} if not isinstance(wanted, Mapping) else require_table(wanted, where, subject)
        if table.get("given") is False and len(table) > 1:
            fail(where, f"{subject} is not given, and has its default: nothing else can be asked about it")
        for key, argument in table.items():
            require_known(key, tuple(ATTRIBUTE_TESTS), where, f"test of {subject}")
            what = subject if key == "is" else f"{subject}.{key}"
            _require_type(key, argument, defaults.get(name), where, what)
            tests.append(ATTRIBUTE_TESTS[key].parse(name, argument, where, what))
    return tests


# ---- values that an attribute may have -----------------------------------------------------------------------------


def _require_type(key: str, argument: Any, default: Any, where: str, what: str) -> None:
    """Reject a test that does not fit the type of the attribute's default, which says the attribute's type."""
    if default is None or key == "given":
        return
    if key in ("is", "not"):
        for value in argument if isinstance(argument, list) else [argument]:
            if not _is_alike(value, default):
                fail(where, f"{what} = {value!r} cannot be: the attribute's default is {default!r}")
    elif isinstance(default, str):
        fail(where, f"{what}: the attribute is a string, its default is {default!r}; allowed are given, is, not")
    elif isinstance(default, list) and key == "range":
        fail(where, f"{what}: the attribute is a list, its default is {default!r}; any and all take a range")
    elif not isinstance(default, list) and key != "range":
        fail(where, f"{what}: the attribute is one number, its default is {default!r}; range takes a range")


def _is_alike(value: Any, default: Any) -> bool:
    if isinstance(default, (list, str)):
        return isinstance(value, type(default))
    return isinstance(value, (int, float) if isinstance(default, float) else int)


def _require_value(value: Any, where: str, what: str) -> None:
    if isinstance(value, bool):
        fail(where, f"{what} = {str(value).lower()}: ONNX has no attributes of true and false; write 1 or 0")
    if looks_like_range(value):
        fail(where, f"{what} = {value!r} would be compared as a string: ranges stand under range, any, all or length")
    if isinstance(value, str) and value != value.strip():
        fail(where, f"{what} = {value!r} begins or ends with a space")
    if isinstance(value, float) and not _is_float32(value):
        fail(where, f"{what} = {value!r} is not equal to any float32, which attributes are; write a range")
    if isinstance(value, list):
        if len({type(item) for item in value}) > 1 or any(isinstance(item, list) for item in value):
            fail(where, f"{what} = {value!r}: a list attribute holds values of one type")
        for item in value:
            _require_value(item, where, what)
    elif not isinstance(value, (int, float, str)):
        fail(where, f"{what} = {value!r} is no value of an attribute")


def _is_float32(value: float) -> bool:
    try:
        return math.isfinite(value) and struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        return False


# ---- tests ---------------------------------------------------------------------------------------------------------


def _given(name: str, argument: Any, where: str, what: str) -> Test:
    if not isinstance(argument, bool):
        fail(where, f"{what} must be true or false, not {argument!r}")
    return lambda facts: facts.given(name) is argument


def _values(argument: Any, where: str, what: str) -> list[Any]:
    values = one_or_several(argument, where, what)
    for value in values:
        _require_value(value, where, what)
    if len({list if isinstance(value, list) else str if isinstance(value, str) else int for value in values}) > 1:
        fail(where, f"{what} = {values!r}: all values must be of one type")
    return values


def _is(name: str, argument: Any, where: str, what: str) -> Test:
    values = _values(argument, where, what)
    return lambda facts: facts.attribute(name) in values


def _is_not(name: str, argument: Any, where: str, what: str) -> Test:
    values = _values(argument, where, what)
    return lambda facts: facts.attribute(name) not in values


def _range(name: str, argument: Any, where: str, what: str) -> Test:
    matches = parse_range(argument, where, what)
    return lambda facts: False if (value := facts.attribute(name)) is None else matches(value)


def _length(name: str, argument: Any, where: str, what: str) -> Test:
    matches = parse_count(argument, where, what)
    return lambda facts: matches(len(facts.attribute(name) or ()))


def _any(name: str, argument: Any, where: str, what: str) -> Test:
    matches = parse_quantified("any", argument, where, what)
    return lambda facts: matches(_numbers(facts, name))


def _all(name: str, argument: Any, where: str, what: str) -> Test:
    matches = parse_quantified("all", argument, where, what)
    return lambda facts: matches(_numbers(facts, name))


def _numbers(facts: NodeFacts, name: str) -> Any:
    value = facts.attribute(name)
    return () if value is None else value


ATTRIBUTE_TESTS: dict[str, Word] = {
    "given": Word(
        "The node states the attribute, whatever its value, or does not state it.", "attr.strides.given = false", _given
    ),
    "is": Word(
        "It has this value, or one of these; a list as a value is written inside a list. `.is` may be left out.",
        'attr.mode = ["linear", "cubic"]',
        _is,
    ),
    "not": Word("It has another value, or none.", 'attr.auto_pad.not = "NOTSET"', _is_not),
    "range": Word("It is a number in a range; False if the attribute has no value.", 'attr.axis.range = "<0"', _range),
    "any": Word("It is a list of numbers, and any of them lies in a range.", 'attr.dilations.any = ">1"', _any),
    "all": Word("It is a list of numbers, and all of them lie in a range, as of none.", "attr.strides.all = 1", _all),
    "length": Word("Its number of elements lies in a range.", "attr.kernel_shape.length = 3", _length),
}
"""What a row may ask about an attribute. One that the node does not state has its schema's default, or no value."""
