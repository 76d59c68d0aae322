"""Products with weights of few bits whose other operand ONNX Runtime may round to int8: as the graph says, in float.

``accuracy_level`` of MatMulNBits is the least accuracy that will do; 4 lets the kernel quantise the activations of each
block at run time, which is off by a few thousandths. Weights are dequantised exactly in either case.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.graph.protos import attribute
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN
from mnncompat.parity.model_copies import inlined_copy, nodes_of, parsed

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FEW_BITS = ("MatMulNBits",)
"""The products that may be rounded."""
_LEVEL = "accuracy_level"
_IN_FLOAT32 = 1


def with_full_accuracy(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model whose products with weights of few bits are of float32; None if there is nothing to change.

    Args:
        model: A file, a serialised model or a model in memory; it is not changed, and external data is not read.
    """
    proto = parsed(model, FEW_BITS)
    if proto is None or not any(map(_may_round, nodes_of(proto))):
        return None
    copy = inlined_copy(proto)
    for node in filter(_may_round, nodes_of(copy)):
        next(each for each in node.attribute if each.name == _LEVEL).i = _IN_FLOAT32
    return copy


def _may_round(node: NodeProto) -> bool:
    is_product = node.op_type in FEW_BITS and node.domain == CONTRIB_DOMAIN
    return is_product and int(attribute(node, _LEVEL, 0)) > _IN_FLOAT32
