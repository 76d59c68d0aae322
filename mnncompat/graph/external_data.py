"""Tensors that are stored beside the model: found, checked to be inside its folder, read and written.

A reference that is absolute, leaves the model's folder, or goes through a link out of it is refused
(https://onnx.ai/onnx/repo-docs/ExternalData.html). That is done when a model is loaded, before anything else reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from onnx import ModelProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph import payloads
from mnncompat.graph.payloads import DataFile, Payload, is_external, payload_of
from mnncompat.graph.stored_sizes import raw_bytes
from mnncompat.graph.stored_tensors import dense_tensors, tensors

Reference = list[tuple[str, str]]
"""Entries of `TensorProto.external_data`: location, offset, length."""
HeldReferences = dict[Payload, Reference]
"""What a model itself said about where held tensors are."""

_REEXPORT = "export the model again, or fetch it again if it was downloaded"
_EXTERNAL_THRESHOLD_BYTES = 1024
_DIGITS = 19
"""Numbers with fewer digits fit into 63 bits."""
_IN_MEMORY = "_ORT_MEM_ADDR_"
"""What ONNX Runtime takes for an address in its own memory."""


class ExternalFiles:
    """The files that hold a model's tensors. They lie in its folder, links followed.

    If the model itself is a link, they may also lie directly beside the file behind it: the cache of Hugging Face keeps
    every file of a repository in one folder, and links to them.

    Args:
        model: The path of the model.
    """

    def __init__(self, model: Path) -> None:
        self._model = model
        self._folder = model.parent
        self._sizes: dict[str, int] = {}
        self.found: dict[str, Path] = {}
        """The files that were located, by location."""

    @cached_property
    def _real_folder(self) -> Path:
        return self._folder.resolve()

    @cached_property
    def _behind(self) -> Path | None:
        return self._model.resolve().parent if self._model.is_symlink() else None

    def locate(self, tensor: TensorProto) -> Path:
        """The file that holds a tensor.

        Raises:
            ModelError: The reference names no file, or one that is outside, missing, no file, or too short.
        """
        what = self._what(tensor)
        entries = _entries(tensor, what)
        location = entries.get("location", "")
        if location not in self.found:
            self.found[location] = self._located(location, what)
            self._sizes[location] = self.found[location].stat().st_size
        file = self.found[location]
        if self._sizes[location] < _number(entries, "offset", what) + _length(tensor, entries, what):
            raise ModelError(f"{what} is not complete: {file} is too short", hint="copy the data file again")
        return file

    def require_inside(self, tensor: TensorProto) -> None:
        """Check the reference of a tensor that says that it is stored inline: another reader may follow it.

        Raises:
            ModelError: It leads out of the model's folder.
        """
        what = self._what(tensor)
        location = _entries(tensor, what).get("location", "")
        if location:
            self._inside(location, what)

    def payload(self, tensor: TensorProto) -> tuple[DataFile | None, int, int]:
        """The file with the bytes of a tensor, little-endian as ONNX stores them, their offset and their length.

        There is no file if it is empty.

        Raises:
            ModelError: As for `locate`, or the file cannot be read.
        """
        file = self.locate(tensor)
        what = self._what(tensor)
        entries = _entries(tensor, what)
        offset = _number(entries, "offset", what)
        try:
            data = payloads.opened(file) if file.stat().st_size else None
        except (OSError, ValueError, OverflowError) as error:
            raise ModelError(f"{what} cannot be read: {file}: {error}", hint=_REEXPORT) from error
        rest = max(0, (0 if data is None else data.size) - offset)
        length = _length(tensor, entries, what)
        if length > rest:
            raise ModelError(f"{what} is not complete: {file} is too short", hint="copy the data file again")
        return data, offset, length

    def read(self, tensor: TensorProto) -> bytes:
        """The bytes of a tensor.

        Raises:
            ModelError: As for `payload`.
        """
        data, offset, length = self.payload(tensor)
        return b"" if data is None else data.map[offset : offset + length]

    def _what(self, tensor: TensorProto) -> str:
        return f"{self._model}: external data of tensor '{tensor.name}'"

    def _located(self, location: str, what: str) -> Path:
        file = self._inside(location, what)
        if file.is_file():
            return file
        problem = f"is not a regular file: {file}" if file.exists() else f"is missing: {file}"
        raise ModelError(f"{what} {problem}", hint="copy the data file beside the model")

    def _inside(self, location: str, what: str) -> Path:
        _require_plain(location, what)
        file = self._folder / location
        try:
            real = file.resolve()
            file.exists()
        except PermissionError as error:
            told = f"{what} cannot be read: {location}: permission denied"
            raise ModelError(told, hint="make the file readable for you") from error
        except (OSError, RuntimeError) as error:  # a name that is too long, or a loop of links
            told = f"{what} names a file that there cannot be: {location[:100]}"
            raise ModelError(told, hint="copy the data beside the model") from error
        if not (real.is_relative_to(self._real_folder) or real.parent == self._behind):
            raise ModelError(
                f"{what} is a link out of the model's folder: {location}", hint="copy the data beside the model"
            )
        return file


def _require_plain(location: str, what: str) -> None:
    """Refuse a location that cannot be in the model's folder, or that readers take for different things."""
    if not location:
        raise ModelError(f"{what} names no file", hint=_REEXPORT)
    if PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive or location.startswith("\\"):
        raise ModelError(f"{what} has an absolute path: {location}", hint="keep the data beside the model")
    if ".." in PurePosixPath(location.replace("\\", "/")).parts:
        raise ModelError(f"{what} leaves the model's folder: {location}", hint="keep the data beside the model")
    if "\0" in location or "\\" in location or location.endswith("/") or _IN_MEMORY in location:
        raise ModelError(f"{what} names a file that there cannot be: {location}", hint=_REEXPORT)


def _entries(tensor: TensorProto, what: str) -> dict[str, str]:
    """The reference; a key that is given twice would mean one thing to one reader, and another to the next."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if len(entries) < len(tensor.external_data):
        raise ModelError(f"{what} states something twice", hint=_REEXPORT)
    return entries


def _length(tensor: TensorProto, entries: dict[str, str], what: str) -> int:
    """Bytes of a tensor in its file; as for ONNX Runtime, a length of 0 says as little as none."""
    stored, length = raw_bytes(tensor), _number(entries, "length", what)
    if tensor.data_type == TensorProto.STRING:
        raise ModelError(f"{what} are strings, which cannot be stored in a file", hint=_REEXPORT)
    if stored is None:
        return length  # of no type that ONNX has: `mnncompat.graph.wellformed` refuses it
    if length not in (0, stored):
        raise ModelError(f"{what} has {length} bytes, and its shape needs {stored}", hint=_REEXPORT)
    return stored


def _number(entries: dict[str, str], key: str, what: str) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise ModelError(f"{what} has a malformed {key}: {text[:40]!r}", hint=_REEXPORT)
    return int(text)


def held(
    tensor: TensorProto, files: ExternalFiles, references: HeldReferences, reference: Reference
) -> DataFile | None:
    """Have an external tensor held like those of the model's own file, in place; `references` learns what it was.

    Raises:
        ModelError: As for `ExternalFiles.payload`.
    """
    data, offset, length = files.payload(tensor)
    if data is None or not length:
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
        tensor.raw_data = b""
        return None
    payload = Payload(data.number, offset, length, payloads.RAW, length)
    payloads.hold(tensor, payload)
    references[payload] = reference
    return data


def locations(proto: ModelProto) -> set[str]:
    """Where the tensors of a model that are stored externally lie."""
    return {
        entry.value
        for tensor in tensors(proto)
        if is_external(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def follow_links(proto: ModelProto, model: Path) -> Path:
    """Have the references of a model name the files behind links, in place; ONNX Runtime refuses links out of a folder.

    Args:
        proto: The model, with its references.
        model: Its path.

    Returns:
        The folder that the references are relative to.

    Raises:
        ModelError: As for `ExternalFiles.locate`.
    """
    files = ExternalFiles(model)
    external = [tensor for tensor in tensors(proto) if is_external(tensor)]
    found = [files.locate(tensor).resolve() for tensor in external]
    folder = model.parent.resolve()
    if all(file.is_relative_to(folder) for file in found):
        return model.parent
    shared = Path(os.path.commonpath([file.parent for file in found]))
    for tensor, file in zip(external, found, strict=True):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = file.relative_to(shared).as_posix()
    return shared


def restore_references(proto: ModelProto, references: HeldReferences) -> None:
    """Turn held tensors that were external into what they were, in place."""
    for tensor, payload in payloads.held_tensors(proto):
        if payload in references:
            refer(tensor, references[payload])


def refer(tensor: TensorProto, reference: Reference) -> None:
    """Turn a tensor into a reference to where its data lie, in place."""
    for name in ("raw_data", "float_data", "double_data", "external_data"):
        tensor.ClearField(name)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in reference:
        tensor.external_data.add(key=key, value=value)


def move_weights_out(proto: ModelProto, path: Path) -> None:
    """Write the large tensors of `proto` to ``<path>.data`` and turn them into references, in place.

    Raises:
        OutputError: The file cannot be written.
    """
    from mnncompat.graph.atomic_files import write_atomically

    moved: list[tuple[TensorProto, int, int]] = []
    offset = 0
    for tensor in dense_tensors(proto):  # nobody reads sparse ones from a file
        length = 0 if is_external(tensor) else payloads.raw_length(tensor)
        if length >= _EXTERNAL_THRESHOLD_BYTES:
            moved.append((tensor, offset, length))
            offset += length
    pieces = [payload_of(tensor) or tensor.raw_data for tensor, *_ in moved]
    file = path.with_name(f"{path.name}.data")
    if file.exists():  # an earlier output may still refer to it: never overwrite the data of a model
        file = path.with_name(f"{path.name}.{_digest(pieces)[:8]}.data")
    write_atomically(file, pieces)
    for tensor, start, length in moved:
        refer(tensor, [("location", file.name), ("offset", str(start)), ("length", str(length))])


def _digest(pieces: Iterable[bytes | Payload]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(payloads.bytes_of(piece) if isinstance(piece, Payload) else piece)
    return digest.hexdigest()
