"""Forms that the reference evaluator of onnx 1.23 is known to compute wrongly: ONNX Runtime's result is used.

Ceiling pools, LRN, grouped ConvTranspose, BatchNormalization and LpNormalization were compared with PyTorch, one shape
each; the others were judged by the operator's page and the failure itself. In other cases a disagreement means that the
page is ambiguous (Resize's output length with fractional scales, the mask of Dropout before opset 12) or that ONNX
Runtime 1.32 is wrong (Bernoulli: one minus the outcome), and the case is discarded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import RECURRENT
from mnncompat.graph.protos import attribute

if TYPE_CHECKING:
    import onnx

_SEQUENCE_LENS = 4

Mistaken = Callable[["onnx.NodeProto", int], bool]


def reference_is_mistaken(op: str, model: onnx.ModelProto) -> bool:
    """Whether the reference evaluator is known to compute this form wrongly.

    Args:
        op: The op type under test.
        model: A micro-model of it.
    """
    known = _MISTAKEN.get(op)
    if known is None:
        return False
    node = next(each for each in model.graph.node if each.op_type == op)
    return known(node, int(model.opset_import[0].version))


def _one_axis_only(_: onnx.NodeProto, opset: int) -> bool:
    return opset < 13  # noqa: PLR2004 - it knows the semantics of opset 13 only: no coercion to 2-D, axis -1 by default


def _training_update(_: onnx.NodeProto, opset: int) -> bool:
    return opset < 14  # noqa: PLR2004 - it mixes in the batch's statistics by `momentum`


def _first_batch_only(_: onnx.NodeProto, __: int) -> bool:
    return True  # LRN: takes the batch size for the number of channels


def _images_only(_: onnx.NodeProto, __: int) -> bool:
    return True  # GlobalMaxPool: reduces axes 2 and 3 whatever the rank


def _no_absolute_value(node: onnx.NodeProto, _: int) -> bool:
    return bool(attribute(node, "p") == 1)


def _grouped(node: onnx.NodeProto, _: int) -> bool:
    return bool((attribute(node, "group") or 1) > 1)  # ConvTranspose: fails, or adds the bias of another channel


def _ceil_mode(node: onnx.NodeProto, _: int) -> bool:
    return bool(attribute(node, "ceil_mode"))  # windows shifted, or one too many


def _ceil_mode_or_indices(node: onnx.NodeProto, opset: int) -> bool:
    return _ceil_mode(node, opset) or len(node.output) > 1  # indices without batch and channel


def _scans(node: onnx.NodeProto, _: int) -> bool:
    return len(node.output) > 1 or not node.input[1]  # Loop: scan outputs are joined, not stacked; no trip without cond


def _one_by_one(_: onnx.NodeProto, opset: int) -> bool:
    return opset < 13  # noqa: PLR2004 - Unsqueeze: inserts the axes in turn, each relative to the rank so far


def _half_pixel_only(_: onnx.NodeProto, opset: int) -> bool:
    return opset < 16  # noqa: PLR2004 - RoiAlign subtracts half a pixel since 16 only


def _ignores_operands(node: onnx.NodeProto, _: int) -> bool:
    has_lengths = len(node.input) > _SEQUENCE_LENS and bool(node.input[_SEQUENCE_LENS])
    return has_lengths or attribute(node, "clip") is not None


_MISTAKEN: dict[str, Mistaken] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _one_axis_only),
    **dict.fromkeys(RECURRENT, _ignores_operands),
    **dict.fromkeys(("AveragePool", "LpPool"), _ceil_mode),
    "MaxPool": _ceil_mode_or_indices,
    "BatchNormalization": _training_update,
    "ConvTranspose": _grouped,
    "GlobalMaxPool": _images_only,
    "LpNormalization": _no_absolute_value,
    "Unsqueeze": _one_by_one,
    "RoiAlign": _half_pixel_only,
    "Loop": _scans,
    "LRN": _first_batch_only,
}
