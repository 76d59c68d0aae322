"""What ONNX Runtime loads a large model from: the model alone; it maps the weights from the files that they are in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto, TensorProto

from mnncompat.graph import model_file, payloads
from mnncompat.graph.external_data import ExternalFiles, refer
from mnncompat.graph.payloads import is_external, is_like_raw
from mnncompat.graph.stored_tensors import dense_tensors, tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.graph.payloads import Payload


def without_weights(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A model whose large tensors are held in files; None of one that is no larger than it would be without.

    Raises:
        ModelError: A file cannot be read.
    """
    if isinstance(model, bytes):
        return None
    if isinstance(model, ModelProto):
        return model if is_held(model) else None
    path = Path(model)
    if not path.is_file() or path.stat().st_size < model_file.LEAST_LAZY_BYTES:
        return None
    return model_file.load(path).skeleton


def is_held(model: ModelProto) -> bool:
    """Whether a model has tensors that are held in files."""
    return any(payloads.held_tensors(model))


def mapped(model: ModelProto, folder: Path | None) -> tuple[ModelProto, Path | None]:
    """A model that refers to its held tensors as ONNX Runtime understands it.

    Args:
        model: The model; it is not changed.
        folder: Where the external data of the model itself lie, if it has any.

    Returns:
        A copy, and the folder that its references are relative to; the model itself if it holds nothing.

    Raises:
        ModelError: A file is gone or has changed.
    """
    if not is_held(model):
        return model, folder
    copy = ModelProto()
    copy.CopyFrom(model)
    places = [(tensor, payload, payloads.place_of(payload)) for tensor, payload in _mappable(copy)]
    external = [(tensor, _real(tensor, folder)) for tensor in tensors(copy) if is_external(tensor)]
    real = {place for *_, place in places if place is not None}.union(place for _, place in external)
    if real:
        shared = Path(os.path.commonpath([place.parent for place in real]))
        for tensor, place in external:
            entries = [(each.key, each.value) for each in tensor.external_data if each.key != "location"]
            refer(tensor, [("location", place.relative_to(shared).as_posix()), *entries])
        for tensor, payload, own in places:
            if own is not None:
                where = [("offset", f"{payload.offset}"), ("length", f"{payload.length}")]
                refer(tensor, [("location", own.relative_to(shared).as_posix()), *where])
        folder = shared
    payloads.fill(copy)
    return copy, folder


def filled(model: ModelProto) -> ModelProto:
    """A model with all its tensors in memory: a copy, if it holds some in files.

    Raises:
        ModelError: A file is gone or has changed.
    """
    if not is_held(model):
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    payloads.fill(copy)
    return copy


def _mappable(model: ModelProto) -> Iterator[tuple[TensorProto, Payload]]:
    for tensor in dense_tensors(model):
        payload = payloads.payload_of(tensor)
        if payload is not None and is_like_raw(tensor, payload):
            yield tensor, payload


def _real(tensor: TensorProto, folder: Path | None) -> Path:
    return ExternalFiles((folder or Path()) / "model.onnx").locate(tensor).resolve()
