"""ONNX operators of the same types and shapes, in place of those of ONNX Runtime's own domain.

ONNX shape inference ends at an unknown operator: all values downstream would be without type and rank. Only the
weightless copy that inference works on is changed, never the model.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

import onnx
from onnx import NodeProto, TensorProto

from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN

TAKEN_OVER = ("DequantizeLinear", "GatherND", "GridSample", "Pad", "QuantizeLinear", "Range", "Trilu")
"""Operators that ONNX adopted without a change."""
RIGHT_BY_NAME = ("Gelu",)
"""Operators that MNN runs as ONNX's operator of the same name, and that equal it."""
_EXTRA = "mnncompat stand-in"
_STEP = 2
_WINDOW = ("auto_pad", "ceil_mode", "dilations", "group", "kernel_shape", "pads", "strides")


def known_type_nodes(nodes: Iterable[NodeProto], own: Container[str] = ()) -> list[NodeProto]:
    """Replace nodes by ones that inference knows, where there are any; `without_extras` removes the additional nodes.

    Args:
        nodes: Of a graph.
        own: Operators that the model itself defines in that domain.
    """
    return [new for node in nodes for new in ([node] if node.op_type in own else _in_onnx(node))]


def without_extras(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """One node for each of the model."""
    return [node for node in nodes if node.doc_string != _EXTRA]


def _in_onnx(node: NodeProto) -> list[NodeProto]:
    form = _FORMS.get(node.op_type) if node.domain == CONTRIB_DOMAIN else None
    try:
        return [node] if form is None else form(node)
    except IndexError:  # an operand that it must have is missing
        return [node]


_Form = Callable[[NodeProto], list[NodeProto]]


def _node(node: NodeProto, op: str, inputs: Sequence[str], output: str = "", *, kept: Sequence[str] = ()) -> NodeProto:
    """A replacement of a node; a node that does not compute the first output is an extra one."""
    made = onnx.helper.make_node(op, inputs, [output or node.output[0]], name=node.name)
    made.attribute.extend(each for each in node.attribute if each.name in kept)
    if output:
        made.doc_string = _EXTRA
    return made


def _of(op: str, *positions: int, kept: Sequence[str] = ()) -> _Form:
    """An operator of some of the inputs."""
    return lambda node: [_node(node, op, [node.input[position] for position in positions], kept=kept)]


def _equivalent(node: NodeProto) -> list[NodeProto]:
    made = NodeProto()
    made.CopyFrom(node)
    made.domain = ""
    return [made]


def _concat(node: NodeProto) -> list[NodeProto]:
    return [_node(node, "Concat", node.input[2::3], kept=("axis",))]


def _window(op: str, *, is_last: bool = False) -> _Form:
    """A convolution or pool; with channels last it is one between two transpositions."""

    def form(node: NodeProto) -> list[NodeProto]:
        stated = {each.name: each for each in node.attribute}
        operands = node.input if op.endswith("Conv") else node.input[:1]
        if not (is_last or ("channels_last" in stated and stated["channels_last"].i)):
            return [_node(node, op, operands, kept=_WINDOW)]
        if "kernel_shape" not in stated:  # the rank is not known
            return [node]
        rank = len(stated["kernel_shape"].ints) + 2
        first, second = (f"{node.output[0]}/{_EXTRA}/{number}" for number in range(2))
        before = _node(node, "Transpose", node.input[:1], first)
        before.attribute.append(onnx.helper.make_attribute("perm", [0, rank - 1, *range(1, rank - 1)]))
        after = _node(node, "Transpose", [second])
        after.attribute.append(onnx.helper.make_attribute("perm", [0, *range(2, rank), 1]))
        return [before, _node(node, op, [first, *operands[1:]], second, kept=_WINDOW), after]

    return form


def _range(node: NodeProto) -> list[NodeProto]:
    """Range, whose step may be left out: then its length is not known before it is rewritten."""
    return _equivalent(node) if len(node.input) > _STEP and node.input[_STEP] else [node]


def _gemm(node: NodeProto) -> list[NodeProto]:
    product = f"{node.output[0]}/{_EXTRA}"
    made = _node(node, "Gemm", [node.input[0], node.input[3]], product, kept=("transA", "transB"))
    scale, zero = [*node.input[7:9], "", ""][:2]
    if not scale:
        return [made, _as_float(node, product)]
    inputs = [product, scale, zero]
    return [made, _node(node, "QuantizeLinear", inputs) if zero else _node(node, "Identity", [product])]


def _integer_product(node: NodeProto) -> list[NodeProto]:
    product = f"{node.output[0]}/{_EXTRA}"
    return [_node(node, "MatMul", node.input[:2], product), _as_float(node, product)]


def _as_float(node: NodeProto, value: str) -> NodeProto:
    made = _node(node, "Cast", [value])
    made.attribute.append(onnx.helper.make_attribute("to", TensorProto.FLOAT))
    return made


_SAME = _of("Identity", 0)
_FORMS: dict[str, _Form] = {
    **dict.fromkeys(TAKEN_OVER, _equivalent),
    **dict.fromkeys(RIGHT_BY_NAME, _SAME),
    **dict.fromkeys(
        ("BiasGelu", "FastGelu", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "QuickGelu"), _SAME
    ),
    "DynamicQuantizeMatMul": _of("MatMul", 0, 1),
    "FusedConv": _window("Conv"),
    "FusedGemm": _of("Gemm", 0, 1, kept=("transA", "transB")),
    "MatMulIntegerToFloat": _integer_product,
    "NhwcConv": _window("Conv", is_last=True),
    "NhwcFusedConv": _window("Conv", is_last=True),
    "NhwcMaxPool": _window("MaxPool", is_last=True),
    "QGemm": _gemm,
    "QLinearAdd": _of("Add", 0, 3),
    "QLinearAveragePool": _window("MaxPool"),
    "QLinearConcat": _concat,
    "QLinearConv": _window("QLinearConv"),
    "QLinearMul": _of("Mul", 0, 3),
    "QLinearWhere": _of("Where", 0, 1, 4),
    "Range": _range,
}
TYPED_OPS = frozenset(_FORMS)
"""Operators of the domain that ONNX operators stand in for; `mnncompat.inference.foreign_op_shapes` has others."""
