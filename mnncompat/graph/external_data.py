"""Tensors that are stored beside the model: found, checked to be inside its folder, read and written.

A reference that is absolute, leaves the model's folder, or goes through a link out of it is refused
(https://onnx.ai/onnx/repo-docs/ExternalData.html).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph.validation import subgraphs

Reference = list[tuple[str, str]]
"""Entries of `TensorProto.external_data`: location, offset, length."""

_REEXPORT = "export the model again, or fetch it again if it was downloaded"
_EXTERNAL_THRESHOLD_BYTES = 1024


def tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Every stored tensor of a model: initializers and attributes, in subgraphs and functions too."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
        yield from attribute.tensors
    for _, graph in subgraphs(node):
        yield from _graph_tensors(graph)


def external_file(tensor: TensorProto, folder: Path) -> Path:
    """Locate the file that holds a tensor.

    Raises:
        ModelError: The reference names no file, leaves `folder`, or the file is missing.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"external data of tensor '{tensor.name}'"
    if not location:
        raise ModelError(f"{what} names no file", hint=_REEXPORT)
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute() or "\\" in location:
        raise ModelError(f"{what} has an absolute path: {location}", hint="keep the data beside the model")
    if ".." in PurePosixPath(location).parts:
        raise ModelError(f"{what} leaves the model's folder: {location}", hint="keep the data beside the model")
    file = folder / location
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ModelError(
            f"{what} is a link out of the model's folder: {location}", hint="copy the data beside the model"
        )
    if not file.is_file():
        raise ModelError(f"{what} is missing: {file}", hint="copy the data file beside the model")
    length = _number(entries, "length") or _stored_bytes(tensor)
    if file.stat().st_size < _number(entries, "offset") + length:
        raise ModelError(f"{what} is not complete: {file} is too short", hint="copy the data file again")
    return file


def _stored_bytes(tensor: TensorProto) -> int:
    """Size in bytes that shape and element type imply; 0 for types smaller than a byte, which are packed."""
    element = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    packed = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1)
    return 0 if packed else math.prod(tensor.dims) * element.itemsize


def _number(entries: dict[str, str], key: str) -> int:
    try:
        return int(entries.get(key, 0))
    except ValueError:
        raise ModelError(f"external data has a malformed {key}: {entries[key]!r}", hint=_REEXPORT) from None


def read_external(tensor: TensorProto, folder: Path) -> bytes:
    """Read the bytes of an externally stored tensor, little-endian as ONNX stores them.

    Raises:
        ModelError: The file is missing, outside `folder`, unreadable or too short.
    """
    file = external_file(tensor, folder)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length) if length >= 0 else stream.read()
    except (OSError, ValueError) as error:
        raise ModelError(f"external data {file} cannot be read: {error}", hint=_REEXPORT) from error
    if len(data) < length:
        raise ModelError(f"external data {file} is too short for tensor '{tensor.name}'", hint=_REEXPORT)
    return data


def restore_references(proto: ModelProto, external: dict[str, tuple[bytes, Reference]]) -> None:
    """Turn tensors that were external and have not changed (by SHA-256) into references again, in place."""
    import hashlib

    for tensor in tensors(proto):
        if tensor.name in external and tensor.HasField("raw_data"):
            digest, reference = external[tensor.name]
            if hashlib.sha256(tensor.raw_data).digest() == digest:
                refer(tensor, reference)


def refer(tensor: TensorProto, reference: Reference) -> None:
    """Turn a tensor into a reference to where its data lie, in place."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in reference:
        tensor.external_data.add(key=key, value=value)


def move_weights_out(proto: ModelProto, path: Path) -> None:
    """Write the large tensors of `proto` to ``<path>.data`` and turn them into references, in place.

    Raises:
        OutputError: The file cannot be written.
    """
    import hashlib

    from mnncompat.graph.atomic_files import write_atomically

    chunks: list[bytes] = []
    offset = 0
    digest = hashlib.sha256()
    moved: list[tuple[TensorProto, int, int]] = []
    for tensor in tensors(proto):
        if tensor.HasField("raw_data") and len(tensor.raw_data) >= _EXTERNAL_THRESHOLD_BYTES:
            chunks.append(tensor.raw_data)
            digest.update(tensor.raw_data)
            moved.append((tensor, offset, len(tensor.raw_data)))
            offset += len(tensor.raw_data)
    file = path.with_name(f"{path.name}.data")
    if file.exists():  # an earlier output may still refer to it: never overwrite the data of a model
        file = path.with_name(f"{path.name}.{digest.hexdigest()[:8]}.data")
    write_atomically(file, b"".join(chunks))
    for tensor, start, length in moved:
        refer(tensor, [("location", file.name), ("offset", str(start)), ("length", str(length))])
