"""What MNN's converter merges into a 3-D convolution, see `mnncompat.support.relations.catalog`."""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.node_facts import NodeFacts

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_MERGED = ("BatchNormalization", "Relu", "Clip")
"""In the order of MNN's passes: what a later one merged is in the way of an earlier one."""
_RELU6 = (0.0, 6.0)
_WEIGHT_RANK, _DEPTH = 5, 2


def merged_into_convolution_3d(facts: NodeFacts) -> bool | None:
    """The node is merged into the 3-D convolution before it, which goes by its own name still."""
    found = _host(facts.view, facts.node)
    return found is not None and _is_3d(facts, found)


def biases_transposed_convolution_3d(facts: NodeFacts) -> bool | None:
    """The node is merged into a 3-D ConvTranspose without bias, which gets one that reaches part of the depth only."""
    found = _host(facts.view, facts.node)
    if found is None or found.op_type != "ConvTranspose" or any(found.input[2:]):
        return False
    return _all_of(_is_3d(facts, found), _reaches_part(facts, found))


def last_plane_reaches_part(facts: NodeFacts) -> bool | None:
    """The last plane of a 3-D ConvTranspose's kernel, to which MNN adds the bias, does not reach all of the depth."""
    return _reaches_part(facts, facts.node)


def _reaches_part(facts: NodeFacts, convolution: NodeProto) -> bool | None:
    weight, strides = facts.shape(convolution.input[1]), attribute(convolution, "strides")
    if strides and strides[0] != 1:
        return True
    return None if weight is None else weight[_DEPTH] != 1


def _all_of(*truths: bool | None) -> bool | None:
    return False if False in truths else None if None in truths else True


def _is_3d(facts: NodeFacts, convolution: NodeProto) -> bool | None:
    rank = facts.rank(convolution.input[1])
    return None if rank is None else rank == _WEIGHT_RANK


def _host(view: GraphView, node: NodeProto) -> NodeProto | None:
    """The convolution with constant weight that a node is merged into, be it along with what lies between."""
    while _may_merge(view, node):
        name = node.input[0]
        before = view.producer(name)
        if before is None or not is_onnx(before) or len(view.consumers[name]) != 1 or name in view.captured:
            return None
        if before.op_type in _CONVOLUTIONS:
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
        value = view.constant(name) if name else None
        stated[position] = None if value is None or value.size != 1 else float(value.reshape(()))
    return tuple(stated)


MERGE_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    "biases-transposed-convolution-3d": biases_transposed_convolution_3d,
    "last-plane-reaches-part": last_plane_reaches_part,
    "merged-into-convolution-3d": merged_into_convolution_3d,
}
