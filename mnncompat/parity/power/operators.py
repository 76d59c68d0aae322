"""The operators with weights: those that a conversion can get wrong in a way that depends on what was trained.

An operator counts if one of its operands is a constant of more than one element, stored or computed from stored values
(a transposed weight, a dequantised one), another one is not, and its results are numbers:

- products, convolutions and recurrent layers, also of integers
- tables of which rows are taken
- normalisations, PRelu
- sums, differences, products and quotients of floats: a bias, a scale or a position that stands alone is trained like
  any other, and converters merge it into neighbours, which is where it gets lost
- operators of other domains than ONNX's

What has constants that were not trained does not count: sizes, bounds, masks, windows of a Resize, scales of a
quantisation, what is compared with, what is put beside. Single numbers do not count either: an epsilon, a temperature.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from onnx import ModelProto, NodeProto, TensorProto

from mnncompat.graph.model_file import Model
from mnncompat.graph.operator_traits import ARITHMETIC, CONVOLUTIONS, MATRIX_PRODUCTS, RECURRENT
from mnncompat.graph.protos import GraphAddress, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.inference.model_view import view_model

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
"""Floating-point types that ONNX Runtime computes with on the CPU."""
INTEGERS = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32)
"""Types of the results of quantised operators."""
_STORED = (*FLOATS, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4, TensorProto.BFLOAT16)
_TRAINED = frozenset(
    (
        *(*CONVOLUTIONS, *MATRIX_PRODUCTS, *RECURRENT),
        *("ConvInteger", "DeformConv", "Einsum", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
        *("Gather", "GatherElements", "GatherND"),
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"),
        *("RMSNormalization", "PRelu"),
    )
)
_OF_INTEGERS = frozenset(("ConvInteger", "MatMulInteger"))
"""Their results are int32; of others, int32 is a number of something."""


class Operator(NamedTuple):
    """An operator with weights.

    Attributes:
        label: ``Conv 'stem'``, with the graph that holds it where that is not the main one.
        address: Of the graph that holds it.
        position: Of the node in its graph.
        results: Name and element type of the results in which a fault can be planted.
    """

    label: str
    address: GraphAddress
    position: int
    results: tuple[tuple[str, int], ...]


def operators_with_weights(model: ModelProto) -> tuple[Operator, ...]:
    """Find the operators with weights, in subgraphs too.

    Args:
        model: Without local functions; its weights need not be loaded.
    """
    views = view_model(Model(proto=model, weights_loaded=False)).graphs()
    found = ((view, index) for view in views for index, node in enumerate(view.nodes) if _counts(view, node))
    return tuple(_operator(view, index) for view, index in found)


def _counts(view: GraphView, node: NodeProto) -> bool:
    if is_onnx(node) and node.op_type not in _TRAINED and node.op_type not in ARITHMETIC:
        return False
    if any(subgraphs(node)) or all(is_constant(view, name) for name in node.input if name):
        return False
    types = FLOATS if is_onnx(node) and node.op_type in ARITHMETIC else _STORED
    return any(_is_weight(view, name, types) for name in _operands(node))


def _operands(node: NodeProto) -> Iterator[str]:
    if node.op_type.startswith("Gather"):
        return iter(node.input[:1])
    return filter(None, node.input)


def _is_weight(view: GraphView, name: str, types: tuple[int, ...]) -> bool:
    if not is_constant(view, name):
        return False
    shape, element = view.shape(name), view.dtype(name)
    known = [dim for dim in shape or () if isinstance(dim, int)]
    is_single = shape is not None and len(known) == len(shape) and prod(known) <= 1
    return not is_single and (element is None or element in types)


def _operator(view: GraphView, index: int) -> Operator:
    node = view.nodes[index]
    location = view.location(index)
    place = f" in {' / '.join(view.path)}" if view.path else ""
    return Operator(f"{location.op_type} '{location.node}'{place}", view.address, index, tuple(_results(view, node)))


def _results(view: GraphView, node: NodeProto) -> Iterator[tuple[str, int]]:
    for name in filter(None, node.output):
        element = view.dtype(name)
        if element is None:
            element = _type_of_operand(view, node)
        if element in FLOATS or (
            element in INTEGERS and (element != TensorProto.INT32 or node.op_type in _OF_INTEGERS)
        ):
            yield name, element


def _type_of_operand(view: GraphView, node: NodeProto) -> int | None:
    """Of results that inference does not know, as behind a contrib operator: the float type among the operands."""
    types = (view.dtype(name) for name in node.input if name)
    return next((each for each in types if each in FLOATS), None)
