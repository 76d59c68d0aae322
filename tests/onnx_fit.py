"""What a row says about an operator, held against what ONNX defines: a row that can never hold is a slip of the pen.

A row is read without `onnx.defs`, which takes long to answer its first question, so the tests ask it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import onnx
from onnx.defs import OpSchema

from mnncompat.support.condition_values import parse_count, parse_range
from mnncompat.support.operand_conditions import ORIGINS
from mnncompat.support.reason_text import placeholders

_KIND = OpSchema.AttrType
_NUMBERS = (_KIND.INT, _KIND.FLOAT)
_LISTS = (_KIND.INTS, _KIND.FLOATS)
_SIZED = (*_LISTS, _KIND.STRINGS)
_ELEMENTS = {_KIND.INTS: _KIND.INT, _KIND.FLOATS: _KIND.FLOAT, _KIND.STRINGS: _KIND.STRING}
_VALUES: dict[Any, tuple[type, ...]] = {_KIND.INT: (int,), _KIND.FLOAT: (int, float), _KIND.STRING: (str,)}
_TESTED_TYPES = {
    "range": _NUMBERS,
    "any": _LISTS,
    "all": _LISTS,
    "length": _SIZED,
}
_MOST = 64


@cache
def history(op: str) -> tuple[OpSchema, ...]:
    """Every version of an operator of ONNX's own domain."""
    every = onnx.defs.get_all_schemas_with_history()
    return tuple(schema for schema in every if schema.name == op and schema.domain == "")


@cache
def op_types() -> frozenset[str]:
    """The names of all operators that ONNX ever defined, in all domains."""
    return frozenset(schema.name for schema in onnx.defs.get_all_schemas_with_history())


def clauses(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tables of predicates of a row."""
    for key in ("when", "unless"):
        condition = row.get(key, {})
        yield from condition if isinstance(condition, list) else [condition]


def misfits(op: str, row: Mapping[str, Any]) -> Iterator[str]:
    """What a row says about an operator that ONNX does not define so."""
    for clause in clauses(row):
        schemas = [schema for schema in history(op) if _is_in(schema, history(op), clause.get("opset"))]
        if not schemas:
            yield f"opset = {clause['opset']!r}: there is no {op} in these opsets"
            continue
        yield from _counts(clause, schemas)
        for name, wanted in clause.get("attr", {}).items():
            yield from _attribute(name, wanted if isinstance(wanted, dict) else {"is": wanted}, schemas)
        for kind in ("input", "output"):
            for position, wanted in clause.get(kind, {}).items():
                yield from _operand(kind, position, wanted if isinstance(wanted, dict) else {"is": wanted}, schemas)
    yield from _reason(row.get("reason", ""), history(op))


def _is_in(schema: OpSchema, schemas: Sequence[OpSchema], opsets: Any) -> bool:
    """Whether a version of an operator is in force in one of some opsets."""
    if opsets is None:
        return True
    later = (each.since_version for each in schemas if each.since_version > schema.since_version)
    end = min(later, default=onnx.defs.onnx_opset_version() + 1)
    matches = parse_count(opsets, "", "opset")
    return any(matches(opset) for opset in range(schema.since_version, end))


def _counts(clause: Mapping[str, Any], schemas: Sequence[OpSchema]) -> Iterator[str]:
    for key, spans in (
        ("inputs", [(schema.min_input, schema.max_input) for schema in schemas]),
        ("outputs", [(schema.min_output, schema.max_output) for schema in schemas]),
    ):
        matches = parse_count(clause.get(key, ">=0"), "", key)
        if not any(matches(count) for least, most in spans for count in range(least, min(most, _MOST) + 1)):
            yield f"{key} = {clause[key]!r}: the operator never has that many"
        for position, wanted in clause.get(key.removesuffix("s"), {}).items():
            is_absent = "absent" in (wanted, wanted.get("is") if isinstance(wanted, dict) else "")
            at = int(position) if position not in ("any", "all") else 0
            if not is_absent and not any(matches(count) for count in range(at + 1, _MOST)):
                yield f"{key} = {clause[key]!r}: the node has no {key.removesuffix('s')}.{position} then"


def _attribute(name: str, tests: Mapping[str, Any], schemas: Sequence[OpSchema]) -> Iterator[str]:
    found = [schema.attributes[name] for schema in schemas if name in schema.attributes]
    if not found:
        yield f"attr.{name}: the operator has no such attribute in these opsets"
        return
    types = {attribute.type for attribute in found}
    text = " ".join(f"{schema.doc} {each.description}" for schema in schemas for each in schema.attributes.values())
    for key, argument in tests.items():
        allowed = _TESTED_TYPES.get(key)
        if allowed is not None and types.isdisjoint(allowed):
            yield f"attr.{name}.{key}: the attribute is {_named(types)}"
        elif key in ("range", "any", "all") and types <= {_KIND.INT, _KIND.INTS} and not _has_integer(argument):
            yield f"attr.{name}.{key} = {argument!r}: no integer lies in it"
        if key in ("is", "not"):
            for value in argument if isinstance(argument, list) else [argument]:
                if not any(_fits(value, kind) for kind in types):
                    yield f"attr.{name} = {value!r}: the attribute is {_named(types)}"
                elif isinstance(value, str) and not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
                    yield f"attr.{name} = {value!r}: ONNX's text does not name this value"


def _named(types: set[Any]) -> str:
    return " or ".join(sorted(kind.name for kind in types))


def _fits(value: Any, kind: Any) -> bool:
    if kind in _ELEMENTS:
        return isinstance(value, list) and all(_fits(item, _ELEMENTS[kind]) for item in value)
    return isinstance(value, _VALUES.get(kind, ()))


def _has_integer(text: Any) -> bool:
    matches = parse_range(text, "", "")
    return any(matches(number) for number in range(-1000, 1000))


def _operand(kind: str, position: str, tests: Mapping[str, Any], schemas: Sequence[OpSchema]) -> Iterator[str]:
    subject = f"{kind}.{position}"
    most = max(schema.max_input if kind == "input" else schema.max_output for schema in schemas)
    if position not in ("any", "all") and not -most <= int(position) < most:
        yield f"{subject}: the operator has {most} of them at most in these opsets"
        return
    formal = [each for schema in schemas for each in _formal(schema, kind, position)]
    if tests.get("is") == "absent" and all(each.option == OpSchema.FormalParameterOption.Single for each in formal):
        yield f"{subject}: it is never absent"
    types = {name for each in formal for name in each.types}
    dtypes = tests.get("dtype", [])
    elements = [_element(dtype) for dtype in (dtypes if isinstance(dtypes, list) else [dtypes])]
    if elements and not any(element in name for element in elements for name in types):
        yield f"{subject}.dtype = {dtypes!r}: the operator takes none of them in these opsets"
    producers = tests.get("producer", [])
    for producer in producers if isinstance(producers, list) else [producers]:
        if producer not in ORIGINS and producer not in op_types():
            yield f"{subject}.producer = {producer!r}: there is no such operator"


def _formal(schema: OpSchema, kind: str, position: str) -> Sequence[OpSchema.FormalParameter]:
    """The formal parameters that a position may be, of which the last may stand for many."""
    parameters = schema.inputs if kind == "input" else schema.outputs
    if position in ("any", "all") or int(position) < 0:
        return parameters
    return [parameters[min(int(position), len(parameters) - 1)]] if parameters else []


def _element(dtype: str) -> str:
    names = {"FLOAT": "float", "DOUBLE": "double"}
    return f"tensor({names.get(dtype, dtype.lower())})"


def _reason(reason: str, schemas: Sequence[OpSchema]) -> Iterator[str]:
    attributes = {name for schema in schemas for name in schema.attributes}
    for found in placeholders(reason):
        if found.subject == "attr" and found.key not in attributes:
            yield f"reason: {{attr.{found.key}}}: the operator has no such attribute"
        if found.subject in ("input", "output"):
            most = max(schema.max_input if found.subject == "input" else schema.max_output for schema in schemas)
            if int(found.key) >= most:
                yield f"reason: {{{found.subject}.{found.key}}}: the operator has {most} of them at most"
