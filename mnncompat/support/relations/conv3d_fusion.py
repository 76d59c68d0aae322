"""Relations of nodes that MNN's converter merges into a 3-D convolution."""

from __future__ import annotations

from onnx import NodeProto

from mnncompat.graph.operator_traits import CONVOLUTIONS
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation
from mnncompat.support.three_valued import all_of
from mnncompat.support.unary_fusion import only_number

_MERGED = ("BatchNormalization", "Relu", "Clip")
"""In the order of MNN's passes: a node that a later pass merges keeps an earlier pass from matching."""

_RELU6 = (0.0, 6.0)

_WEIGHT_RANK, _DEPTH = 5, 2


@relation(
    holds="(float[1,1,2,2,2] x) => (float[1,1,2,2,2] y) <float[1,1,1,1,1] w = {2.0}> { c = Conv(x, w) y = Relu(c) }",
    fails="(float[1,1,2,2] x) => (float[1,1,2,2] y) <float[1,1,1,1] w = {2.0}> { c = Conv(x, w) y = Relu(c) }",
)
def node_is_merged_into_convolution_3d(facts: NodeFacts) -> bool | None:
    """MNN merges the node into the 3-D convolution before it, whose result keeps the convolution's own name."""
    found = _merging_convolution(facts.view, facts.node)
    return found is not None and _is_3d(facts, found)


@relation(
    holds=(
        "(float[1,1,2,1,1] x) => (float[1,1,3,1,1] y) <float[1,1,2,1,1] w = {1.0, 2.0}, float[1] s = {1.0}, "
        "float[1] b = {2.0}, float[1] m = {0.0}, float[1] v = {1.0}> { c = ConvTranspose(x, w) y = "
        "BatchNormalization(c, s, b, m, v) }"
    ),
    fails=(
        "(float[1,1,2,1,1] x) => (float[1,1,2,1,1] y) <float[1,1,1,1,1] w = {1.0}, float[1] s = {1.0}, float[1] b"
        " = {2.0}, float[1] m = {0.0}, float[1] v = {1.0}> { c = ConvTranspose(x, w) y = BatchNormalization(c, s,"
        " b, m, v) }"
    ),
)
def node_becomes_bias_of_transposed_convolution_3d(facts: NodeFacts) -> bool | None:
    """MNN makes the node the bias of a 3-D ConvTranspose that has none; the bias reaches part of the depth only."""
    found = _merging_convolution(facts.view, facts.node)
    if found is None or found.op_type != "ConvTranspose" or any(found.input[2:]):
        return False
    return all_of([_is_3d(facts, found), _misses_part_of_depth(facts, found)])


@relation(
    holds=(
        "(float[1,1,2,1,1] x, float[1,1,2,1,1] w, float[1] b) => (float[1,1,3,1,1] y) { y = ConvTranspose(x, w, b) }"
    ),
    fails=(
        "(float[1,1,2,1,1] x, float[1,1,1,1,1] w, float[1] b) => (float[1,1,2,1,1] y) { y = ConvTranspose(x, w, b) }"
    ),
)
def last_kernel_plane_misses_depth(facts: NodeFacts) -> bool | None:
    """The last plane of a 3-D ConvTranspose's kernel, with which MNN adds the bias, does not reach all of the depth."""
    return _misses_part_of_depth(facts, facts.node)


def _misses_part_of_depth(facts: NodeFacts, convolution: NodeProto) -> bool | None:
    weight, strides = facts.shape(convolution.input[1]), attribute(convolution, "strides")
    if strides and strides[0] != 1:
        return True
    return None if weight is None else weight[_DEPTH] != 1


def _is_3d(facts: NodeFacts, convolution: NodeProto) -> bool | None:
    rank = facts.rank(convolution.input[1])
    return None if rank is None else rank == _WEIGHT_RANK


def _merging_convolution(view: GraphView, node: NodeProto) -> NodeProto | None:
    """The convolution with constant weight that a node is merged into, directly or together with the nodes between."""
    while _may_merge(view, node):
        name = node.input[0]
        before = view.producer(name)
        if before is None or not is_onnx(before) or len(view.consumers[name]) != 1 or name in view.captured:
            return None
        if before.op_type in CONVOLUTIONS:
            return before if name not in view.outputs and is_constant(view, before.input[1]) else None
        if before.op_type not in _MERGED or _MERGED.index(before.op_type) > _MERGED.index(node.op_type):
            return None
        node = before
    return None


def _may_merge(view: GraphView, node: NodeProto) -> bool:
    if node.op_type == "Clip":
        return _bounds(view, node) == _RELU6
    if node.op_type == "BatchNormalization":
        return all(is_constant(view, name) for name in node.input[1:]) and not attribute(node, "training_mode")
    return node.op_type == "Relu"


def _bounds(view: GraphView, node: NodeProto) -> tuple[float | None, ...]:
    """The constant bounds of a Clip, as operands or attributes."""
    stated = [attribute(node, name) for name in ("min", "max")]
    for position, name in enumerate(node.input[1:]):
        stated[position] = only_number(view, name) if name else None
    return tuple(stated)
