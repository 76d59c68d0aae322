"""What ONNX's schemas demand of a node: how many operands and results, and attributes of which types."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import onnx
from onnx import AttributeProto, NodeProto, TensorProto

from mnncompat.errors import ModelError

_ELEMENT_TYPES = frozenset(("to", "dtype", "output_dtype", "output_datatype"))
"""Attributes of ONNX's operators that name an element type."""
_NOT_NEGATIVE = frozenset((("GatherND", "batch_dims"),))
"""Numbers of axes: below 0, ONNX's inference reads outside of a shape."""
_LARGEST_AXIS = 2**31
"""Beyond 32 bits ONNX's inference of LayerNormalization writes outside of a shape."""
_KNOWN_TYPES = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
_HINT = "the exporter wrote a node that ONNX does not define: export the model again"


class _Demands(NamedTuple):
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    single_inputs: frozenset[int]
    single_outputs: frozenset[int]
    types: dict[str, int]
    required: frozenset[str]


@lru_cache(maxsize=4096)
def _demands(op: str, opset: int, domain: str) -> _Demands | None:
    """Demands of an operator; None if ONNX does not define it in that opset."""
    try:
        schema = onnx.defs.get_schema(op, opset, domain)
    except onnx.defs.SchemaError:
        return None
    if schema.deprecated:
        return None
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    return _Demands(
        inputs=(schema.min_input, schema.max_input),
        outputs=(schema.min_output, schema.max_output),
        single_inputs=frozenset(i for i, each in enumerate(schema.inputs) if each.option == single),
        single_outputs=frozenset(i for i, each in enumerate(schema.outputs) if each.option == single),
        types={name: int(each.type.value) for name, each in schema.attributes.items()},  # type: ignore[attr-defined]
        required=frozenset(name for name, each in schema.attributes.items() if each.required),
    )


def require_schema(node: NodeProto, opset: int, name: str, *, domain: str = "") -> None:
    """Check a node of one of ONNX's domains against the operator's schema, as ONNX Runtime does.

    Attributes that the operator does not have are left alone.

    Args:
        node: The node.
        opset: Of the domain.
        name: What the message begins with.
        domain: The empty one, or `ai.onnx.ml`.

    Raises:
        ModelError: It has too few or too many operands or results, or an attribute is missing, of another type,
            or names an element type that ONNX does not have.
    """
    demands = _demands(node.op_type, opset, domain)
    if demands is None:
        return
    problem = _count("operand", node.input, demands.inputs, demands.single_inputs)
    problem = problem or _count("result", node.output, demands.outputs, demands.single_outputs)
    problem = problem or _attributes(node, demands) or _fewer_parts(node) or _strange_equation(node)
    if problem:
        label = node.name or next(filter(None, node.output), node.op_type)
        raise ModelError(f"{name}: node '{label}' ({node.op_type}, opset {opset}) {problem}", hint=_HINT)


def _count(what: str, names: object, bounds: tuple[int, int], single: frozenset[int]) -> str:
    listed = list(names)  # type: ignore[call-overload]
    least, most = bounds
    if not least <= len(listed) <= most:
        wanted = (
            str(least) if least == most else f"{least} to {most}" if len(listed) < 2**31 and most < 2**31 - 1 else ""
        )
        return f"has {len(listed)} {what}s; the operator has {wanted or f'{least} or more'}"
    missing = next((place for place, value in enumerate(listed) if not value and place in single), None)
    return "" if missing is None else f"leaves out {what} {missing}, which the operator needs"


def _attributes(node: NodeProto, demands: _Demands) -> str:
    given = set()
    for attribute in node.attribute:
        given.add(attribute.name)
        wanted = demands.types.get(attribute.name, attribute.type)
        if wanted != attribute.type and not attribute.ref_attr_name:
            kinds = AttributeProto.AttributeType
            return f"has attribute '{attribute.name}' of type {kinds.Name(attribute.type)}, not {kinds.Name(wanted)}"
        if attribute.name in _ELEMENT_TYPES and _names_no_type(attribute):
            return f"has attribute '{attribute.name}' with {attribute.i}: that is no element type of ONNX"
        if attribute.name == "axis" and not -_LARGEST_AXIS <= attribute.i < _LARGEST_AXIS:
            return f"has attribute 'axis' with {attribute.i}: no tensor has so many axes"
        if attribute.i < 0 and (node.op_type, attribute.name) in _NOT_NEGATIVE:
            return f"has attribute '{attribute.name}' with {attribute.i}: it is a number of axes"
    missing = next(iter(sorted(demands.required - given)), None)
    return "" if missing is None else f"does not state attribute '{missing}', which the operator needs"


def _fewer_parts(node: NodeProto) -> str:
    """A Split into fewer parts than it has results: ONNX's inference writes behind its list of sizes."""
    if node.op_type != "Split":
        return ""
    parts = next((each.i for each in node.attribute if each.name == "num_outputs" and not each.ref_attr_name), None)
    if parts is None or parts >= len(node.output):
        return ""
    return f"has attribute 'num_outputs' with {parts}, and {len(node.output)} results"


_EQUATION = re.compile(rb"[a-zA-Z .,]*(->[a-zA-Z .]*)?")


def _strange_equation(node: NodeProto) -> str:
    """An Einsum with other labels than letters: ONNX's inference counts them outside of its list, and may never end."""
    stated = [each.s for each in node.attribute if each.name == "equation"] if node.op_type == "Einsum" else []
    strange = next((each for each in stated if not _EQUATION.fullmatch(each)), None)
    return "" if strange is None else f"has the equation {strange[:80]!r}: labels are letters"


def _names_no_type(attribute: AttributeProto) -> bool:
    """True unless its number is an element type, or the 0 that stands for the type of another operand."""
    if attribute.type != AttributeProto.INT or attribute.ref_attr_name:
        return False
    return attribute.i not in _KNOWN_TYPES and (attribute.i != 0 or attribute.name != "output_dtype")
