"""Negative sizes, at which ONNX's inference of Slice ends the process, and ONNX Runtime's as well.

A window that is larger than what it slides over, negative pads and negative numbers of parts give such sizes, and Slice
clamps to them: `std::clamp(start, 0, size)`, onnx/defs/tensor/utils.cc. In the copy that inference works on, a node in
front of the Slice forgets them. A size that is declared negative is one that nobody knows, as for ONNX Runtime.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from mnncompat.errors import ModelError
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.validation import all_graphs
from mnncompat.inference.foreign_calls import Call, Result
from mnncompat.inference.foreign_domains import STAND_IN_DOMAIN

GUARD = "KnownSizes"
"""The operator that forgets sizes, of the domain of stand-ins."""
PROPAGATES = frozenset(
    ("Add", "Cast", "Concat", "Constant", "Gather", "Mul", "Shape", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze")
)
"""Operators whose results ONNX's inference computes, where it knows the operands."""
_OF_ANYTHING = frozenset(("Constant", "Shape", "Size"))
_NEGATIVE = re.compile(rb"\x08[\x80-\xff]{9}\x01")
"""A negative number in the first field of a message: a dimension has its size there."""
_SUFFIX = "/mnncompat.sizes"
_MET: dict[str, tuple[int, ...]] = {}
"""Values with negative sizes that the last inference gave to a Slice which would have clamped to them."""


def forget_declared(skeleton: ModelProto, asked: bytes) -> bool:
    """Forget negative sizes that a model declares, in place.

    Args:
        skeleton: The model.
        asked: The same, serialised.

    Returns:
        Whether there were any.
    """
    found = False
    for graph in all_graphs(skeleton.graph) if _NEGATIVE.search(asked) else ():
        for value in (*graph.input, *graph.output, *graph.value_info):
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_value < 0:
                    dim.ClearField("dim_value")
                    found = True
    return found


def guard_slices(model: ModelProto) -> bool:
    """Put a node in front of each Slice whose operand may have negative sizes, in place; `unguard_slices` removes them.

    Returns:
        Whether there are any.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    graphs: list[GraphProto | FunctionProto] = [*all_graphs(model.graph), *model.functions]
    guarded = [graph for graph in graphs if _guard(graph, stored)]
    if not guarded:
        return False
    from mnncompat.inference.foreign_op_shapes import stand_in

    name = stand_in(STAND_IN_DOMAIN, GUARD)
    assert name == _NAME  # noqa: S101 - `_guard` writes it
    for imports in (model.opset_import, *(each.opset_import for each in guarded if isinstance(each, FunctionProto))):
        if all(entry.domain != STAND_IN_DOMAIN for entry in imports):
            imports.add(domain=STAND_IN_DOMAIN, version=1)
    _MET.clear()
    return True


def unguard_slices(model: ModelProto) -> None:
    """Remove what `guard_slices` added, in place.

    Raises:
        ModelError: A Slice reads a value of which a negative number of elements was inferred.
    """
    graphs: list[GraphProto | FunctionProto] = [*all_graphs(model.graph), *model.functions]
    guarded = [graph for graph in graphs if any(map(_is_guard, graph.node))]
    for graph in guarded:
        nodes = [node for node in graph.node if not _is_guard(node)]
        for node in nodes:
            if node.op_type == "Slice" and node.input and node.input[0].endswith(_SUFFIX):
                node.input[0] = node.input[0].removesuffix(_SUFFIX)
        _replace_nodes(graph, nodes)
    for value, sizes in _MET.items() if guarded else ():
        raise ModelError(
            f"Slice reads '{value}', which would have the shape {list(sizes)}",
            hint="a window, or what is cut off, is larger than the value before it: export the model again",
        )


def known_sizes(call: Call) -> Sequence[Result]:
    """The operand, without negative sizes; those are noted where Slice would have clamped to them."""
    shape = call.shape(0)
    if shape is None or not any(isinstance(dim, int) and dim < 0 for dim in shape):
        return [(call.dtype(0), shape)]
    if call.attribute("clamps", 0):
        value = bytes(call.attribute("value", b"")).decode(errors="replace")
        _MET.setdefault(value, tuple(dim if isinstance(dim, int) else 0 for dim in shape))
    return [(call.dtype(0), tuple(None if isinstance(dim, int) and dim < 0 else dim for dim in shape))]


_NAME = f"{STAND_IN_DOMAIN}::{GUARD}"


def _is_guard(node: NodeProto) -> bool:
    return node.op_type == _NAME and node.domain == STAND_IN_DOMAIN


def _guard(graph: GraphProto | FunctionProto, given: Iterable[str]) -> bool:
    """Guard the Slices of one graph; True if there are any that need it."""
    slices = [node for node in graph.node if node.op_type == "Slice" and is_onnx(node) and node.input]
    if not slices:
        return False
    producers = {name: node for node in graph.node for name in node.output}
    stored, known = {*given}, dict[str, bool]()
    if isinstance(graph, GraphProto):
        stored.update(tensor.name for tensor in graph.initializer)
        known = dict.fromkeys((value.name for value in graph.input), True)
    guards: dict[str, NodeProto] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "Slice" and is_onnx(node) and node.input and node.input[0]:
            name = node.input[0]
            if not _is_safe(name, producers, known, stored):
                clamps = all(_is_constant(each, producers, stored) for each in node.input[1:])
                guard = guards.get(name)
                if guard is None:
                    guard = guards[name] = _made(name)
                    nodes.append(guard)
                guard.attribute[0].i |= clamps
                node.input[0] = guard.output[0]
        nodes.append(node)
    if guards:
        _replace_nodes(graph, nodes)
    return bool(guards)


def _made(name: str) -> NodeProto:
    node = NodeProto(op_type=_NAME, domain=STAND_IN_DOMAIN, input=[name], output=[f"{name}{_SUFFIX}"])
    node.attribute.add(name="clamps", type=AttributeProto.INT, i=0)
    node.attribute.add(name="value", type=AttributeProto.STRING, s=name.encode())  # `onnx.helper` would import numpy
    return node


def _is_safe(name: str, producers: Mapping[str, NodeProto], known: dict[str, bool], stored: Container[str]) -> bool:
    """Whether a value has no negative size: it is given, or inference may compute it from values that are."""
    pending = [name]
    while pending:
        current = pending[-1]
        node = producers.get(current)
        if current in known or node is None or node.op_type not in PROPAGATES or not is_onnx(node):
            known.setdefault(current, not current or current in stored)
        elif node.op_type in _OF_ANYTHING:
            known[current] = True
        else:
            waiting = [each for each in node.input if each not in known]
            if waiting:
                pending += waiting
                continue
            known[current] = all(known[each] for each in node.input)
        pending.pop()
    return known[name]


def _is_constant(name: str, producers: Mapping[str, NodeProto], stored: Container[str]) -> bool:
    return not name or name in stored or (name in producers and producers[name].op_type == "Constant")


def _replace_nodes(graph: GraphProto | FunctionProto, nodes: Sequence[NodeProto]) -> None:
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
