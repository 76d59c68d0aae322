"""Copies of a model that ONNX Runtime runs in its place, where it would not compute what the graph says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto

from mnncompat.graph.validation import all_nodes
from mnncompat.inference.inlined_functions import written_out


def parsed(model: Path | str | bytes | ModelProto, names: Sequence[str]) -> ModelProto | None:
    """The model, without its external data, if an operator of these names may be in it.

    Args:
        model: A file, a serialised model or a model in memory.
        names: Of operators, or parts of them.

    Returns:
        The model; None if it cannot hold such an operator, or ONNX Runtime will refuse it.
    """
    if isinstance(model, ModelProto):
        return model
    try:
        if isinstance(model, bytes):
            return onnx.load_model_from_string(model) if _holds(model, names) else None
        with Path(model).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            if not _holds(data, names):
                return None
        return onnx.load(model, load_external_data=False)
    except (DecodeError, OSError, ValueError):  # ValueError: an empty file
        return None


def mentions(proto: ModelProto, names: Sequence[str]) -> bool:
    """Whether an operator of these names, or of which they are parts, is in a model."""
    return any(name in node.op_type for node in nodes_of(proto) for name in names)


def nodes_of(proto: ModelProto) -> Iterator[NodeProto]:
    """The nodes of all graphs and functions."""
    yield from all_nodes(proto.graph.node)
    for function in proto.functions:
        yield from all_nodes(function.node)


def inlined_copy(proto: ModelProto) -> ModelProto:
    """A copy without functions, as values inside them have no types, and attributes no values."""
    if proto.functions:
        return written_out(proto)
    copy = ModelProto()
    copy.CopyFrom(proto)
    return copy


def _holds(data: bytes | mmap, names: Sequence[str]) -> bool:
    """Whether an operator may be in a serialised model: protobuf stores names as they are."""
    return any(data.find(name.encode()) >= 0 for name in names)
