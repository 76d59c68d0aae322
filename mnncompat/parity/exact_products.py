"""Integer products that ONNX Runtime computes exactly on every CPU.

On x86 without VNNI (AVX2, AVX-512; SSE4.1 on Windows), ONNX Runtime multiplies uint8 by int8 with VPMADDUBSW, which
adds pairs of products with saturation to int16: 255 * 127 + 255 * 127 = 64770 becomes 32767. Such a reference is wrong,
and makes a correct rewrite or conversion look wrong. Measured on a CPU with AVX2 and no VNNI with ONNX Runtime 1.20.1
and 1.32.0, optimization disabled, constant and runtime operands alike (a sum of 64 products of 255 and 127, 2072640, is
off by 1024096):

    uint8 * int8                 wrong: MatMulInteger, QLinearMatMul, QLinearConv, com.microsoft: QGemm,
                                 MatMulIntegerToFloat, QAttention, DynamicQuantizeMatMul, DynamicQuantizeLSTM
    int8 * uint8                 wrong: ConvInteger, which multiplies weights by images (1.20.1 has no kernel for int8)
    uint8 * uint8, int8 * int8   exact, in all of them

ONNX Runtime documents the saturation, and has an option against it, `session.x64quantprecision`, which changes
constants during graph optimization; a reference is run without that. The same is therefore done here, for every
operand: where a product has both types, the int8 one is shifted to uint8, with its zero point. By the operators'
definition the product
is the same, and uint8 * uint8 is exact on every CPU:

    a * (b - zero) = a * ((b + 128) - (zero + 128))

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_session_options_config_keys.h
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/qdq_transformer/avx2_weight_s8_to_u8.cc
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/mlas/lib/platform.cpp
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import qualified_op
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.inference.model_view import view_model
from mnncompat.parity.model_copies import inlined_copy, nodes_of, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.graph.view import GraphView

_CONTRIB = "com.microsoft::"
_SHIFT = 128
OPERANDS = {
    "MatMulInteger": ((0, 2), (1, 3)),
    "ConvInteger": ((0, 2), (1, 3)),
    "QLinearMatMul": ((0, 2), (3, 5)),
    "QLinearConv": ((0, 2), (3, 5)),
    f"{_CONTRIB}QLinearConv": ((0, 2), (3, 5)),
    f"{_CONTRIB}QGemm": ((0, 2), (3, 5)),
    f"{_CONTRIB}MatMulIntegerToFloat": ((0, 4), (1, 5)),
    f"{_CONTRIB}QAttention": ((0, 6), (1, 7)),
    f"{_CONTRIB}DynamicQuantizeMatMul": ((1, 3),),
    f"{_CONTRIB}DynamicQuantizeLSTM": ((1, 9), (2, 11)),
}
"""Positions of the operands that are multiplied, each with that of its zero point."""
_QUANTIZES_TO_UINT8 = frozenset((f"{_CONTRIB}DynamicQuantizeMatMul", f"{_CONTRIB}DynamicQuantizeLSTM"))
"""Operators whose other operand is float, and is quantised to uint8 by the operator."""
PRODUCTS = ("Integer", "QLinear", "QGemm", "QAttention", "DynamicQuantize")
"""One of them is in the name of each of `OPERANDS`."""


def with_exact_products(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model in which no product of integers has operands of both types.

    Inputs, outputs, their names and types are those of the model; so is every value that it computes.

    Args:
        model: A file, a serialised model or a model in memory; it is not changed, and external data is not read.

    Returns:
        The copy; None if there is nothing to change, which is known from the names of operators alone.
    """
    proto = parsed(model, PRODUCTS)
    if proto is None or not any(qualified_op(node) in OPERANDS for node in nodes_of(proto)):
        return None
    copy = inlined_copy(proto)
    found = [(view, list(_mixed_operands(view))) for view in view_model(Model(copy, weights_loaded=False)).graphs()]
    for number, (view, operands) in reversed([*enumerate(found)]):  # graphs inside nodes before those that hold them
        if operands and isinstance(view.graph, GraphProto):
            _shift_operands(view.graph, operands, f"exact-products/{number}")
    return copy if any(operands for _, operands in found) else None


def _mixed_operands(view: GraphView) -> Iterator[tuple[int, int, int]]:
    """Index of a node, position of its int8 operand and of the zero point, where another operand is uint8."""
    for index, node in enumerate(view.nodes):
        op = qualified_op(node)
        if op not in OPERANDS:
            continue
        types = {(value, zero): _type_of(view, node, value, zero) for value, zero in OPERANDS[op]}
        if op in _QUANTIZES_TO_UINT8 or TensorProto.UINT8 in types.values():
            yield from ((index, *each) for each, kind in types.items() if kind == TensorProto.INT8)


def _type_of(view: GraphView, node: NodeProto, value: int, zero: int) -> int | None:
    """Type of an operand, which is that of its zero point."""
    return next(filter(None, (view.dtype(_input(node, position)) for position in (value, zero))), None)


def _input(node: NodeProto, position: int) -> str:
    return node.input[position] if position < len(node.input) else ""


def _shift_operands(graph: GraphProto, operands: list[tuple[int, int, int]], prefix: str) -> None:
    """Have nodes read operands and zero points plus 128, as uint8."""
    shifted: dict[str, str] = {}
    nodes = list(graph.node)
    before: dict[int, list[NodeProto]] = {}
    for index, *positions in operands:
        node = nodes[index]
        for position in positions:
            name = _input(node, position)
            if name not in shifted:
                shifted[name] = f"{prefix}/{name}"
                before.setdefault(index, []).extend(_shifted(name, shifted[name]))
            node.input.extend([""] * (position + 1 - len(node.input)))
            node.input[position] = shifted[name]
        for _, zero in OPERANDS[qualified_op(node)]:
            if zero < len(node.input) and not node.input[zero]:  # ConvInteger of 1.20.1 crashes on "" before another
                before.setdefault(index, []).append(_constant(np.uint8(0), f"{prefix}/zero/{index}"))
                node.input[zero] = f"{prefix}/zero/{index}"
    made = [each for index, node in enumerate(nodes) for each in (*before.get(index, ()), node)]
    result = GraphProto()
    result.node.extend(made)
    del graph.node[:]
    graph.node.extend(result.node)


def _shifted(name: str, result: str) -> list[NodeProto]:
    """Compute an int8 value plus 128 as uint8; without a name it is a zero point that was left out: 0."""
    if not name:
        return [_constant(np.uint8(_SHIFT), result)]
    return [
        helper.make_node("Cast", [name], [f"{result}/wide"], to=TensorProto.INT32),
        _constant(np.int32(_SHIFT), f"{result}/offset"),
        helper.make_node("Add", [f"{result}/wide", f"{result}/offset"], [f"{result}/sum"]),
        helper.make_node("Cast", [f"{result}/sum"], [result], to=TensorProto.UINT8),
    ]


def _constant(value: np.generic, name: str) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=array_tensor(np.asarray(value)))
