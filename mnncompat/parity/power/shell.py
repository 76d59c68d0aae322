"""A copy of a model without its large tensors, which go to a file that ONNX Runtime maps: memory holds them once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.graph.external_data import ExternalFiles, refer
from mnncompat.graph.payloads import bytes_of, inlined, is_external, is_like_raw, payload_of
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.stored_tensors import tensors

_FILE = "weights"
_LARGE = 1 << 12
"""Bytes from which on a tensor goes to the file."""
_ALIGNMENT = 64


def shell_of(model: ModelProto, folder: Path, spare: Path) -> tuple[ModelProto, Path]:
    """Copy a model; its large tensors lie in a file in another folder.

    Tensors that ``Constant`` nodes state become initializers. A model that refers to files already is copied as it is:
    what is large in it lies there.

    Args:
        model: The model.
        folder: Where its external data lie, if it has any.
        spare: Where the large tensors go.

    Returns:
        The copy, and the folder with its tensors.

    Raises:
        OSError: The file cannot be written.
    """
    if any(is_external(tensor) for tensor in tensors(model)):
        copy = ModelProto()
        copy.CopyFrom(model)
        return copy, folder
    with (spare / _FILE).open("wb") as file:
        return _Copier(file, held_stay=True).model(model), spare


def digest_of(model: ModelProto, folder: Path | None) -> bytes:
    """A hash of a model and its external data; memory does not hold them once more.

    Args:
        model: The model.
        folder: Where its external data lie, if it has any.

    Raises:
        ModelError: External data are missing.
        OSError: They cannot be read.
    """
    large = _Digest()
    small = _Copier(large, held_stay=False).model(model).SerializeToString(deterministic=True)
    found = hashlib.sha256(small)
    found.update(large.digest())
    external = (each for each in tensors(model) if is_external(each) and folder is not None)
    files = ExternalFiles((folder or Path()) / "model.onnx")
    for file in sorted({files.locate(tensor) for tensor in external}):
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.digest()


class _Sink(Protocol):
    """What takes the large tensors, one after the other."""

    def write(self, data: bytes | memoryview, /) -> int: ...
    def tell(self) -> int: ...


class _Digest:
    """Hashes what is written."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()
        self._written = 0

    def write(self, data: bytes | memoryview, /) -> int:
        self._found.update(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def digest(self) -> bytes:
        return self._found.digest()


class _Copier:
    """Copies messages, without large tensors."""

    def __init__(self, file: _Sink, *, held_stay: bool) -> None:
        self._file = file
        self._held_stay = held_stay

    def model(self, source: ModelProto) -> ModelProto:
        copy = ModelProto()
        for field, value in source.ListFields():
            if field.name != "graph":
                _assign(copy, field.name, value)
        self._graph(source.graph, copy.graph)
        return copy

    def _graph(self, source: GraphProto, copy: GraphProto) -> None:
        for field, value in source.ListFields():
            if field.name not in ("node", "initializer"):
                _assign(copy, field.name, value)
        for tensor in source.initializer:
            self._tensor(tensor, copy.initializer.add())
        for node in source.node:
            stated = next((each.t for each in node.attribute if each.name == "value" and each.HasField("t")), None)
            if stated is not None and node.op_type == "Constant" and is_onnx(node):
                tensor = copy.initializer.add()
                self._tensor(stated, tensor)
                tensor.name = node.output[0]
            else:
                self._node(node, copy.node.add())

    def _node(self, source: NodeProto, copy: NodeProto) -> None:
        for field, value in source.ListFields():
            if field.name != "attribute":
                _assign(copy, field.name, value)
        for each in source.attribute:
            attribute = copy.attribute.add()
            if each.type == AttributeProto.GRAPH:
                attribute.name, attribute.type = each.name, each.type
                self._graph(each.g, attribute.g)
            else:
                attribute.CopyFrom(each)

    def _tensor(self, source: TensorProto, copy: TensorProto) -> None:
        payload = payload_of(source)
        if payload is not None and (self._held_stay or not is_like_raw(source, payload)):
            copy.CopyFrom(source if self._held_stay else inlined(source))
            return
        data = source.raw_data if payload is None else bytes_of(payload)  # raw_data is a copy each time
        if len(data) < _LARGE:
            copy.CopyFrom(inlined(source))
            return
        copy.name, copy.data_type = source.name, source.data_type
        copy.dims.extend(source.dims)
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        where = [("location", _FILE), ("offset", str(self._file.tell())), ("length", str(len(data)))]
        self._file.write(data)
        refer(copy, where)


def _assign(message: ModelProto | GraphProto | NodeProto, name: str, value: object) -> None:
    """Copy one field, of whatever kind."""
    if isinstance(value, (str, bytes, int, float)):
        setattr(message, name, value)
    else:
        getattr(message, name).MergeFrom(value)
