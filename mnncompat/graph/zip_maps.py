"""Lists of maps from labels to scores, which scikit-learn's exporter makes of the scores of a classifier by default.

MNN has tensors only. The maps hold nothing that the tensor and the labels do not say: the tensor takes their place when
a model is read, under the name of the output, and `Model.unmapped` tells of it.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto

from mnncompat.graph.protos import attribute
from mnncompat.graph.tensor_values import tensor_value_info

_DOMAIN, _OP = "ai.onnx.ml", "ZipMap"


def maps_scores(proto: ModelProto) -> bool:
    """Whether a model gives such maps."""
    return any(each.domain == _DOMAIN for each in proto.opset_import) and any(map(_is_map, proto.graph.node))


def drop_maps(proto: ModelProto) -> tuple[str, ...]:
    """Give the scores themselves, in place.

    Args:
        proto: The model.

    Returns:
        The names of the outputs that were maps: float32 of shape (batch, labels) now.
    """
    if not maps_scores(proto):
        return ()
    outputs = {value.name: value for value in proto.graph.output}
    dropped = []
    for node in filter(_is_map, proto.graph.node):
        labels = attribute(node, "classlabels_int64s") or attribute(node, "classlabels_strings") or ()
        name = node.output[0]
        if name in outputs:
            outputs[name].CopyFrom(tensor_value_info(name, TensorProto.FLOAT, [None, len(labels) or None]))
        node.op_type, node.domain = "Identity", ""
        del node.attribute[:]
        dropped.append(name)
    return tuple(dropped)


def _is_map(node: NodeProto) -> bool:
    return node.op_type == _OP and node.domain == _DOMAIN and len(node.input) == 1
