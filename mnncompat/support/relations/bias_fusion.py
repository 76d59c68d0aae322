"""Relations of constants next to convolutions and products that MNN treats as a bias."""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.graph.operator_traits import CONVOLUTIONS, MATRIX_PRODUCTS
from mnncompat.graph.protos import Dim, attribute
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

_FOLDED_ACTIVATIONS = ("Relu", "Clip")


@relation(
    holds=(
        "(float[1,1,1,2] x) => (float[1,2,1,2] y) <float[2,1,1,1] w = {1.0, 2.0}, float[2] b = {3.0, 4.0}> { c = "
        "Conv(x, w) y = Add(c, b) }"
    ),
    fails=(
        "(float[1,1,1,2] x) => (float[1,2,1,2] y) <float[2,1,1,1] w = {1.0, 2.0}, float[2,1,1] b = {3.0, 4.0}> { "
        "c = Conv(x, w) y = Add(c, b) }"
    ),
    behind=("Reshape", *CONVOLUTIONS),
)
def constant_is_taken_for_convolution_bias(facts: NodeFacts) -> bool | None:
    """A constant is added to a convolution along an axis other than the channels, with as many elements as channels.

    MNN identifies a bias by its element count, also after a Reshape (`ConvBiasAdd.cpp`).
    """
    found = _constant_and_other(facts, 1)
    if found is None:
        return False
    shape, node = found
    reshaped = node.op_type == "Reshape"
    source = facts.view.producer(node.input[0]) if reshaped else node
    if source is None or not _is_convolution(facts, source) or facts.rank(source.input[1]) == len("NCL"):
        return False
    channels = _output_channels(facts, source)
    if channels is None:
        return None
    if channels == 1 or _count(shape) != channels or not _is_only_user(facts, node.output[0]):
        return False
    return _is_not_along_channels(facts, shape, node.output[0], source)


def _is_not_along_channels(facts: NodeFacts, constant: tuple[Dim, ...], result: str, source: NodeProto) -> bool | None:
    """The constant's one long axis is not the channel axis of the convolution that `result` comes from."""
    behind = len(constant) - 1 - next(axis for axis, dim in enumerate(constant) if dim != 1)
    if result == source.output[0]:
        rank = facts.rank(source.input[1])
        return None if rank is None else behind != rank - len("NC")
    after, spatial = facts.shape(result), facts.shape(source.output[0])
    if after is None or spatial is None:
        return None
    inner, wanted = _count(after[len(after) - behind :]), _count(spatial[len("NC") :])
    return inner != wanted if inner and wanted else None


@relation(
    holds=(
        "(float[1,1,1,2] x) => (float[1,2,1,2] y) <float[2,1,1,1] w = {1.0, 2.0}, float[2,1,1] b = {3.0, 4.0}> { "
        "c = Conv(x, w) r = Relu(c) y = Add(r, b) }"
    ),
    fails=(
        "(float[1,1,1,2] x) => (float[1,2,1,2] y) <float[2,1,1,1] w = {1.0, 2.0}, float[1] b = {3.0}> { c = "
        "Conv(x, w) r = Relu(c) y = Add(r, b) }"
    ),
    behind=_FOLDED_ACTIVATIONS,
    within=CONVOLUTIONS,
)
def constant_is_folded_before_activation(facts: NodeFacts) -> bool | None:
    """A constant with as many elements as a convolution has channels is added after the convolution's Relu or Clip.

    MNN folds the activation into the convolution first, then the constant into the bias: the order is lost.
    """
    found = _constant_and_other(facts, 1)
    if found is None or found[1].op_type not in _FOLDED_ACTIVATIONS:
        return False
    shape, activation = found
    node = facts.view.producer(activation.input[0])
    if node is None or not _is_convolution(facts, node):
        return False
    channels, rank = _output_channels(facts, node), facts.rank(node.input[1])
    alone = all(_is_only_user(facts, name) for name in (activation.output[0], node.output[0]))
    outside = facts.view.is_external_use(activation.output[0])
    return None if channels is None else _count(shape) == channels and rank != len("NCL") and alone and not outside


@relation(
    holds=(
        "(float[2,3] a, float[3,2] b) => (float[2,2] y) <float[2,1] c = {1.0, 2.0}> { m = MatMul(a, b) y = Add(m, c) }"
    ),
    fails=(
        "(float[2,3] a, float[3,2] b) => (float[2,2] y) <float[2] c = {1.0, 2.0}> { m = MatMul(a, b) y = Add(m, c) }"
    ),
    behind=MATRIX_PRODUCTS,
    of_types=True,
)
def constant_is_taken_for_matmul_bias(facts: NodeFacts) -> bool | None:
    """A constant is added to a matrix product, not along the columns, but with as many elements as columns."""
    for position in (0, 1):
        found = _constant_and_other(facts, position)
        if found is not None and found[1].op_type in MATRIX_PRODUCTS:
            return _lies_across(facts, found[0], facts.node.input[1 - position])
    return False


@relation(
    holds="(float[2,3] a, float[3,2] b) => (float[2,2] y) <float[2,1] c = {1.0, 2.0}> { y = Gemm(a, b, c) }",
    fails="(float[2,3] a, float[3,2] b) => (float[2,2] y) <float[2] c = {1.0, 2.0}> { y = Gemm(a, b, c) }",
)
def gemm_bias_lies_along_rows(facts: NodeFacts) -> bool | None:
    """The constant C of a Gemm has as many elements as the result has columns, but lies along the rows."""
    name = facts.operand(2)
    shape = None if name is None else facts.shape(name)
    if name is None or shape is None or not facts.is_constant(name):
        return False
    return _lies_across(facts, shape, facts.node.output[0])


def _lies_across(facts: NodeFacts, constant: tuple[Dim, ...], result: str) -> bool | None:
    shape = facts.shape(result)
    if shape is None or not shape or not isinstance(shape[-1], int):
        return None if _count(constant) > 1 and constant[-1] == 1 else False
    return _count(constant) == shape[-1] and shape[-1] > 1 and constant[-1] != shape[-1]


def _constant_and_other(facts: NodeFacts, position: int) -> tuple[tuple[Dim, ...], NodeProto] | None:
    """Shape of the constant operand at `position`, and the node that computes the other one."""
    if len(facts.node.input) != len(("a", "b")):
        return None
    other = facts.view.producer(facts.node.input[1 - position])
    name = facts.node.input[position]
    if other is None or not facts.is_constant(name):
        return None
    shape = facts.shape(name)
    return None if shape is None else (shape, other)


def _is_convolution(facts: NodeFacts, node: NodeProto) -> bool:
    return node.op_type in CONVOLUTIONS and facts.is_constant(node.input[1])


def _output_channels(facts: NodeFacts, node: NodeProto) -> int | None:
    weight = facts.shape(node.input[1])
    if weight is None or not isinstance(weight[0], int) or not isinstance(weight[1], int):
        return None
    if node.op_type == "Conv":
        return weight[0]
    group = attribute(node, "group", 1)
    return weight[1] * int(group)


def _count(shape: tuple[Dim, ...]) -> int:
    count = 1
    for dim in shape:
        count *= dim if isinstance(dim, int) else 0
    return count


def _is_only_user(facts: NodeFacts, name: str) -> bool:
    return len(facts.view.consumers.get(name, ())) == 1
