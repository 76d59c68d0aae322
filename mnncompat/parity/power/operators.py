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
Nor does one number repeated (ConstantOfShape, Expand): it stands where somebody took the weights out to make a small
file. Such a product or convolution flattens what comes before, so that operators of which nothing reaches an output
past it do not count either. `with_placeholders` counts all of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from onnx import ModelProto, NodeProto, TensorProto

from mnncompat.graph.model_file import Model
from mnncompat.graph.operator_traits import ARITHMETIC, CASTS, CONVOLUTIONS, MATRIX_PRODUCTS, MOVES, RECURRENT
from mnncompat.graph.protos import GraphAddress, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured
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
    return tuple(_operator(view, index) for view, index, is_placeholder in _found(model) if not is_placeholder)


def with_placeholders(model: ModelProto) -> int:
    """The number of operators that do not count because of weights that are one number repeated.

    Args:
        model: Without local functions; its weights need not be loaded.
    """
    return sum(is_placeholder for view, index, is_placeholder in _found(model))


def uncounted(placeholders: int) -> tuple[str, ...]:
    """A note about the operators that do not count because of their weights."""
    if not placeholders:
        return ()
    which = "1 operator with weights does" if placeholders == 1 else f"{placeholders} operators with weights do"
    return (f"{which} not count: their weights, or those behind them, are one number repeated",)


def _found(model: ModelProto) -> Iterator[tuple[GraphView, int, bool]]:
    """The operators with weights, and whether only placeholders are seen of them."""
    views = list(view_model(Model(proto=model, weights_loaded=False)).graphs())
    seen = _seen(views[0])
    for view in views:
        for index, node in enumerate(view.nodes):
            if _has_weights(view, node):
                if not _is_repeated_throughout(view, node):
                    hidden = view is views[0] and index not in seen
                    yield view, index, hidden
                elif node.op_type in _TRAINED:
                    yield view, index, True


def _seen(main: GraphView) -> set[int]:
    """Nodes of which something reaches an output past the products and convolutions with placeholders.

    These flatten what comes before: a sum with equal weights is the same for every order of its operands.
    """
    pending, seen = list(main.outputs), set[int]()
    while pending:
        index = main.producers.get(pending.pop())
        if index is None or index in seen:
            continue
        node = main.nodes[index]
        is_product = node.op_type in CONVOLUTIONS or node.op_type in MATRIX_PRODUCTS
        if is_product and _has_weights(main, node) and _is_repeated(main, node.input[1]):
            continue
        seen.add(index)
        pending += [name for name in (*node.input, *_captured(node)) if name]
    return seen


def _captured(node: NodeProto) -> Iterator[str]:
    for _, graph in subgraphs(node):
        yield from captured(graph)


def _is_repeated_throughout(view: GraphView, node: NodeProto) -> bool:
    weights = [name for name in _operands(node) if _is_weight(view, name, _types(node))]
    return all(_is_repeated(view, name) for name in weights)


def _is_repeated(view: GraphView, name: str) -> bool:
    """Whether a constant is computed from one number, by nodes that move elements or change their type."""
    while (node := view.producer(name)) is not None and is_onnx(node):
        if node.op_type == "ConstantOfShape":
            return True
        if node.op_type == "Expand" and _is_single(view, node.input[0]):
            return True
        if node.op_type not in MOVES and node.op_type not in CASTS:
            return False
        name = node.input[0]
    return False


def _types(node: NodeProto) -> tuple[int, ...]:
    return FLOATS if is_onnx(node) and node.op_type in ARITHMETIC else _STORED


def _has_weights(view: GraphView, node: NodeProto) -> bool:
    if is_onnx(node) and node.op_type not in _TRAINED and node.op_type not in ARITHMETIC:
        return False
    if any(subgraphs(node)) or all(is_constant(view, name) for name in node.input if name):
        return False
    return any(_is_weight(view, name, _types(node)) for name in _operands(node))


def _operands(node: NodeProto) -> Iterator[str]:
    if node.op_type.startswith("Gather"):
        return iter(node.input[:1])
    return filter(None, node.input)


def _is_weight(view: GraphView, name: str, types: tuple[int, ...]) -> bool:
    if not is_constant(view, name):
        return False
    element = view.dtype(name)
    return not _is_single(view, name) and (element is None or element in types)


def _is_single(view: GraphView, name: str) -> bool:
    shape = view.shape(name)
    known = [dim for dim in shape or () if isinstance(dim, int)]
    return shape is not None and len(known) == len(shape) and prod(known) <= 1


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
