"""What MNN's converter gets: the file itself, or of a large model one without its weights, which stay in theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.graph import model_file, payloads
from mnncompat.graph.external_data import refer
from mnncompat.graph.payloads import is_like_raw, payload_of
from mnncompat.graph.stored_tensors import dense_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.model_file import Model
    from mnncompat.mnn import Converted, ConvertOptions, Failure, Limits
    from mnncompat.mnn.kept_integers import KeptIntegers

_LARGEST_FILE = 1_900_000_000
"""Bytes from which on MNN writes weights into a file of their own in any case; its own line is at 2 GB."""


def handed_model(model: Model, spare: Path, *, is_original: bool) -> tuple[Path, dict[str, Path]]:
    """A file that MNN's converter reads.

    Args:
        model: The model.
        spare: Where to write it, if it has to be written.
        is_original: Whether it is still what is in the file that it was read from.

    Returns:
        The file, and the files of its external data by location.

    Raises:
        OutputError: It cannot be written.
        ModelError: Its weights cannot be read.
    """
    if not any(payloads.held_tensors(model.skeleton)):
        if is_original and model.path is not None:
            return model.path, model.data
        return spare, model_file.save(model, spare)
    copy = ModelProto()
    copy.CopyFrom(model.skeleton)
    data = dict(model.data) if not model.weights_loaded else {}
    for tensor in dense_tensors(copy):
        payload = payload_of(tensor)
        place = None if payload is None else payloads.place_of(payload)
        if payload is not None and place is not None and is_like_raw(tensor, payload):
            location = f"held-{payload.number}"
            data[location] = place
            refer(tensor, [("location", location), ("offset", f"{payload.offset}"), ("length", f"{payload.length}")])
    if model_file.serialised_bytes(copy) > _LARGEST_FILE:  # what is in other places, or was made anew
        return spare, model_file.save(model, spare)
    payloads.fill(copy)
    spare.write_bytes(copy.SerializeToString())
    return spare, data


def convert_handed(
    model: Model,
    spare: Path,
    out: Path,
    options: ConvertOptions,
    limits: Limits,
    *,
    is_original: bool,
    kept: Sequence[KeptIntegers] = (),
) -> Converted | Failure:
    """Convert a model; one whose result is too large for one file gets a file of weights.

    Args:
        model: The model.
        spare: As for `handed_model`.
        out: Where the `.mnn` goes.
        options: Of the converter.
        limits: What the child process may use.
        is_original: As for `handed_model`.
        kept: Weights that the file holds as these integers.

    Returns:
        The converted file, or how the conversion failed.

    Raises:
        OutputError: A file cannot be written.
        ModelError: Its weights cannot be read, or MNN's converter did not quantise what is to be kept.
        RunnerError: MNN is not installed.
    """
    from mnncompat import mnn

    source, data = handed_model(model, spare, is_original=is_original)
    payloads.forget_pages()  # before the converter takes its memory
    wanted = replace(options, external_weights=options.external_weights or needs_weights_file(model))
    return mnn.convert(source, out, options=wanted, limits=limits, data=data, kept=kept)


def needs_weights_file(model: Model) -> bool:
    """Whether what MNN makes of a model is too large for one file."""
    beside = () if model.weights_loaded else {*model.data.values()}
    return model_file.serialised_bytes(model.skeleton) + sum(map(_size, beside)) > _LARGEST_FILE


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
