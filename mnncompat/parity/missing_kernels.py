"""Operators of ONNX Runtime's own domain for which its CPU has no kernel, by those that it has.

Three operators exist on other devices only, and most of the others in float32 only: a model in half precision that was
optimised for a GPU does not load. The kernels of those devices compute in float32 and round the result, and so does
what stands here: the operator itself between casts, or the operators that it is a fusion of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.model_file import from_proto
from mnncompat.graph.protos import attribute
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN
from mnncompat.inference.model_view import view_model

_MISSING = ("Could not find an implementation for", "Failed to find kernel for")
_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
_IN_FLOAT32 = frozenset(
    ("Attention", "BiasGelu", "DecoderMaskedMultiHeadAttention", "EmbedLayerNormalization", "FastGelu", "FusedConv")
) | {"FusedGemm", "FusedMatMul", "Gelu", "MultiHeadAttention", "QuickGelu"}
"""Operators whose kernel is of float32 only."""
_FUSED = ("BiasSplitGelu", "GemmFastGelu", "NhwcConv", "NhwcFusedConv")
"""Operators without a kernel, whatever the type."""
_SPLIT_COUNTS = 18
"""From this opset on Split states into how many parts."""


def says_missing_kernel(words: str) -> bool:
    """Whether a refusal to load a model may be over with `with_definitions`."""
    return any(each in words for each in _MISSING)


def with_definitions(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model with such operators written by others; None if there are none in its main graph."""
    proto = ModelProto()
    if isinstance(model, ModelProto):
        proto.CopyFrom(model)
    elif isinstance(model, bytes):
        proto.ParseFromString(model)
    else:
        proto = onnx.load(model)
    view = view_model(from_proto(proto)).main
    nodes: list[NodeProto] = []
    for node in proto.graph.node:
        if node.domain != CONTRIB_DOMAIN or node.op_type not in _IN_FLOAT32.union(_FUSED):
            nodes.append(node)
            continue
        parts = _parts(node, view.opset) if node.op_type in _FUSED else [node]
        types = {name: view.dtype(name) or 0 for name in (*node.input, *node.output) if name}
        nodes += _between_casts(parts, node, types) if any(each in _HALVES for each in types.values()) else parts
    if len(nodes) == len(proto.graph.node):
        return None
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def _between_casts(parts: Sequence[NodeProto], node: NodeProto, types: dict[str, int]) -> list[NodeProto]:
    """The nodes in float32, with casts of what they read and give."""
    label = f"{node.output[0]}/in float32"
    wide = {name: f"{label}/{name}" for name, element in types.items() if element in _HALVES}
    before = [
        helper.make_node("Cast", [n], [wide[n]], to=TensorProto.FLOAT) for n in dict.fromkeys(node.input) if n in wide
    ]
    after = [helper.make_node("Cast", [wide[n]], [n], to=types[n]) for n in node.output if n in wide]
    middle = []
    for each in parts:
        copy = NodeProto()
        copy.CopyFrom(each)
        copy.input[:] = [wide.get(name, name) for name in each.input]
        copy.output[:] = [wide.get(name, name) for name in each.output]
        middle.append(copy)
    return [*before, *middle, *after]


def _parts(node: NodeProto, opset: int) -> list[NodeProto]:
    """The operators that one is a fusion of."""
    made = f"{node.output[0]}/parts"
    if node.op_type == "GemmFastGelu":
        return [
            helper.make_node("MatMul", node.input[:2], [made]),
            helper.make_node("FastGelu", [made, *node.input[2:]], node.output[:1], domain=CONTRIB_DOMAIN),
        ]
    if node.op_type == "BiasSplitGelu":
        return [
            helper.make_node("Add", node.input[:2], [f"{made}/sum"]),
            _halved(f"{made}/sum", [f"{made}/left", f"{made}/right"], opset),
            helper.make_node("Gelu", [f"{made}/right"], [f"{made}/gelu"], domain=CONTRIB_DOMAIN),
            helper.make_node("Mul", [f"{made}/left", f"{made}/gelu"], node.output[:1]),
        ]
    rank = len(attribute(node, "kernel_shape", [0, 0])) + 2
    first, last = [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]
    inputs = [*node.input]
    nodes = []
    for position in (0, 3):
        if position < len(inputs) and inputs[position]:
            turned = f"{made}/{position}"
            nodes.append(helper.make_node("Transpose", [inputs[position]], [turned], perm=first))
            inputs[position] = turned
    window = helper.make_node("FusedConv", inputs, [f"{made}/out"], domain=CONTRIB_DOMAIN)
    window.attribute.extend(node.attribute)
    return [*nodes, window, helper.make_node("Transpose", [f"{made}/out"], node.output[:1], perm=last)]


def _halved(value: str, halves: Sequence[str], opset: int) -> NodeProto:
    node = helper.make_node("Split", [value], list(halves), axis=-1)
    if opset >= _SPLIT_COUNTS:
        node.attribute.append(helper.make_attribute("num_outputs", 2))
    return node
