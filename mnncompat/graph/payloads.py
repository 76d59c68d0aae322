"""Data of tensors that stay in the file that they were read from, until somebody asks for those of one tensor.

A held tensor is stored externally as far as protobuf, ONNX and graphsurgeon can tell. Its location begins with a token
that is drawn when this module is imported: no model can refer to a file in this way, so what a model itself says about
external data is never mistaken for it. Copies of a message hold the same bytes.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from onnx import ModelProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.stored_tensors import tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = f"{os.urandom(16).hex()}/"
TOKEN_BYTES = _TOKEN.encode()
"""What the location of every held tensor begins with."""
RAW = TensorProto.DESCRIPTOR.fields_by_name["raw_data"].number
_FIELDS = {each.number: each.name for each in TensorProto.DESCRIPTOR.fields}
_WIDTHS = {"raw_data": 1, "float_data": 4, "double_data": 8}
"""Bytes of an element in the fields whose elements all take the same number; they are stored little-endian, packed."""
_SAME_AS_RAW = {"float_data": TensorProto.FLOAT, "double_data": TensorProto.DOUBLE}
_IN_MEMORY = "_ORT_MEM_ADDR_"
"""What ONNX Runtime takes for an address in its own memory."""
_KEYS = ("location", "offset", "length", "field", "elements")


class _Identity(NamedTuple):
    """Which file it is, and that nothing was written to it since."""

    device: int
    inode: int
    size: int
    changed: int


class DataFile:
    """A file that holds tensors: open, and mapped, so that it can be read when its name belongs to another file.

    Args:
        path: The file; not empty.

    Raises:
        OSError: It cannot be read.
        ValueError: It cannot be mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            self.identity = _identity(os.fstat(stream.fileno()))
            self.size = self.identity.size
            self.map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self.descriptor = os.dup(stream.fileno())
        self.number = _NUMBERS.setdefault((path, self.identity), len(_NUMBERS))
        _OPEN[self.number] = self

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


_NUMBERS: dict[tuple[Path, _Identity], int] = {}
"""Numbers of the files that were opened; who holds a reference after its file was closed opens it again."""
_OPEN: WeakValueDictionary[int, DataFile] = WeakValueDictionary()


def forget_pages() -> None:
    """Give back the pages of all open files that were read: the system counts them as memory of this process.

    What is read again comes from the system's cache, as a rule.
    """
    if hasattr(mmap, "MADV_DONTNEED"):
        for file in tuple(_OPEN.values()):
            file.map.madvise(mmap.MADV_DONTNEED)


class Payload(NamedTuple):
    """The data of one tensor in a file.

    Attributes:
        number: Of the file, see `file_of`.
        offset: First byte.
        length: In bytes.
        field: Number of the field of `TensorProto` whose content they are, packed as protobuf does.
        elements: How many there are in that field.
    """

    number: int
    offset: int
    length: int
    field: int
    elements: int

    @property
    def field_name(self) -> str:
        """Name of the field."""
        return _FIELDS[self.field]


def opened(path: Path) -> DataFile:
    """The file at a path, open; the same one as long as somebody uses it and it is not written to.

    Raises:
        OSError: It cannot be read.
        ValueError: It cannot be mapped.
    """
    number = _NUMBERS.get((path, _identity(path.stat())))
    found = None if number is None else _OPEN.get(number)
    return DataFile(path) if found is None else found


def file_of(payload: Payload) -> DataFile:
    """The file that holds a payload.

    Raises:
        ModelError: Nobody has kept it open, and it is gone or has changed since it was read.
    """
    found = _OPEN.get(payload.number)
    if found is not None:
        return found
    path, identity = next(key for key, number in _NUMBERS.items() if number == payload.number)
    try:
        found = DataFile(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read any more: {error}", hint="run the command again") from error
    if found.identity != identity:
        raise ModelError(f"{path}: was changed while it was worked on", hint="run the command again")
    return found


def _identity(status: os.stat_result) -> _Identity:
    return _Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def place_of(payload: Payload) -> Path | None:
    """Where others find the file that holds a payload, links followed; None if they do not, or misunderstand its name.

    Raises:
        ModelError: As for `file_of`.
    """
    file = file_of(payload)
    try:
        real = file.path.resolve()
        "".join(real.parts).encode()
        is_same = _identity(real.stat()) == file.identity
    except (OSError, ValueError):
        return None
    return real if is_same and _IN_MEMORY not in str(real) else None


def is_external(tensor: TensorProto) -> bool:
    """Whether the model itself says that a tensor is stored in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL) and payload_of(tensor) is None


def payload_of(tensor: TensorProto) -> Payload | None:
    """Where the data of a held tensor are; None of one that is inline, or external by the model's own words."""
    if tensor.data_location != TensorProto.EXTERNAL or len(tensor.external_data) != len(_KEYS):
        return None
    location, *numbers = (entry.value for entry in tensor.external_data)
    if not isinstance(location, str) or not location.startswith(_TOKEN):
        return None
    return Payload(int(location.removeprefix(_TOKEN)), *map(int, numbers))


def reference_to(payload: Payload) -> list[tuple[str, str]]:
    """Entries of `TensorProto.external_data` that say where the data of a held tensor are."""
    number, *rest = payload
    return list(zip(_KEYS, (f"{_TOKEN}{number}", *map(str, rest)), strict=True))


def hold(tensor: TensorProto, payload: Payload) -> None:
    """Have a tensor refer to its data, in place; `file_of` must be kept by whoever keeps the tensor."""
    for name in (*_FIELDS_OF_DATA, "external_data"):
        tensor.ClearField(name)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in reference_to(payload):
        tensor.external_data.add(key=key, value=value)


_FIELDS_OF_DATA = ("float_data", "int32_data", "string_data", "int64_data", "raw_data", "double_data", "uint64_data")


def files_of(proto: ModelProto) -> tuple[DataFile, ...]:
    """The files that a model's held tensors need, for whoever keeps the model.

    Raises:
        ModelError: As for `file_of`.
    """
    found: dict[int, DataFile] = {}
    for tensor in tensors(proto):
        payload = payload_of(tensor)
        if payload is not None and payload.number not in found:
            found[payload.number] = file_of(payload)
    return tuple(found.values())


def held_tensors(proto: ModelProto) -> Iterator[tuple[TensorProto, Payload]]:
    """The held tensors of a model, wherever they are."""
    for tensor in tensors(proto) if _NUMBERS else ():
        payload = payload_of(tensor)
        if payload is not None:
            yield tensor, payload


def stored_in(tensor: TensorProto, field: str) -> int:
    """How many elements, or bytes of ``raw_data``, the data of a tensor in a field come to, without reading them."""
    payload = payload_of(tensor)
    if payload is None:
        return len(getattr(tensor, field))
    return payload.elements if payload.field_name == field else 0


def is_raw(tensor: TensorProto) -> bool:
    """Whether the data of a tensor in the model's own file are raw bytes."""
    payload = payload_of(tensor)
    return tensor.HasField("raw_data") if payload is None else payload.field == RAW


def raw_length(tensor: TensorProto) -> int:
    """Bytes of a tensor that can be written as ``raw_data`` without looking at them; 0 if there are none."""
    payload = payload_of(tensor)
    if payload is None:
        return len(tensor.raw_data)
    return payload.length if is_like_raw(tensor, payload) else 0


def is_like_raw(tensor: TensorProto, payload: Payload) -> bool:
    """Whether a payload is what ``raw_data`` of the same tensor would be."""
    return payload.field == RAW or _SAME_AS_RAW.get(payload.field_name) == tensor.data_type


def bytes_of(payload: Payload) -> memoryview:
    """The bytes of a payload, not copied.

    Raises:
        ModelError: As for `file_of`.
    """
    return memoryview(file_of(payload).map)[payload.offset : payload.offset + payload.length]


def inlined(tensor: TensorProto) -> TensorProto:
    """A tensor with its data: a copy if they are held elsewhere, otherwise itself.

    Raises:
        ModelError: As for `file_of`.
    """
    payload = payload_of(tensor)
    if payload is None:
        return tensor
    copy = TensorProto()
    copy.CopyFrom(tensor)
    fill_tensor(copy, payload)
    return copy


def fill_tensor(tensor: TensorProto, payload: Payload) -> None:
    """Read the data of a held tensor into it, in place.

    Raises:
        ModelError: As for `file_of`.
    """
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    data = bytes_of(payload)
    name = payload.field_name
    if name == "raw_data":
        tensor.raw_data = bytes(data)
    elif name in _WIDTHS:
        getattr(tensor, name).extend(np.frombuffer(data, f"<f{_WIDTHS[name]}"))
    else:
        tensor.MergeFromString(packed_header(payload) + bytes(data))


def packed_header(payload: Payload) -> bytes:
    """What protobuf writes before the bytes of a payload: its field, and its length."""
    return varint(payload.field << 3 | 2) + varint(payload.length)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    found = bytearray()
    while number > 127:  # noqa: PLR2004 - 7 bits in each byte
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


def fill(proto: ModelProto) -> None:
    """Read the data of all held tensors into a model, in place.

    Raises:
        ModelError: As for `file_of`.
    """
    for tensor, payload in held_tensors(proto):
        fill_tensor(tensor, payload)
