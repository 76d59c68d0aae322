"""What ONNX's checker says about a model, which it does not need the weights for."""

from __future__ import annotations

from math import prod

import onnx
from onnx import ModelProto

from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.external_data import refer
from mnncompat.graph.payloads import fill_tensor, held_tensors

_MOST_BYTES = 1_900_000_000
"""The checker serialises the model, and protobuf stops at 2 GiB."""
_READ_ELEMENTS = 1024
"""Larger tensors are no sizes, and inference does not look at them."""
_WEIGHTS = "weights"


def checker_error(proto: ModelProto) -> str:
    """Why ONNX's checker rejects a model, types and shapes included; empty if it does not, or cannot look at it."""
    if proto.ByteSize() > _MOST_BYTES:
        return ""
    try:
        _check(proto)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError) as error:
        return next(iter(str(error).splitlines()), type(error).__name__)
    return ""


def _check(proto: ModelProto) -> None:
    if not any(held_tensors(proto)):
        onnx.checker.check_model(proto, full_check=True)
        return
    copy = ModelProto()
    copy.CopyFrom(proto)
    longest = 0
    for tensor, payload in held_tensors(copy):
        if prod(tensor.dims) <= _READ_ELEMENTS:
            fill_tensor(tensor, payload)
        else:
            longest = max(longest, payload.length)
            refer(tensor, [("location", _WEIGHTS), ("length", f"{payload.length}")])
    with ScratchFolder() as folder:
        with (folder / _WEIGHTS).open("wb") as file:
            file.truncate(longest)  # a hole: it takes no space
        (folder / "model.onnx").write_bytes(copy.SerializeToString())
        onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
