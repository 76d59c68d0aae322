"""Models as protobuf writes them: data of tensors are left out when a file is read, and put in when it is written.

Only messages that can hold a tensor are entered, and of those only large ones; the rest is left to protobuf. The fields
are those of ONNX's own descriptors. (https://protobuf.dev/programming-guides/encoding)
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from onnx import ModelProto, TensorProto

from mnncompat.graph.payloads import RAW, TOKEN_BYTES, Payload, hold, packed_header, payload_of, varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    from google.protobuf.descriptor import Descriptor

LEAST_HELD_BYTES = 1024
"""Data of this size and less stay in the model; ONNX's own tools draw the line here as well."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 100
"""Messages in messages that protobuf reads."""
_LONGEST_VARINT = 10
_COUNTED_AT_ONCE = 1 << 20
_NUMBER = {each.name: each.number for each in TensorProto.DESCRIPTOR.fields}
_FIXED = {_NUMBER["float_data"]: 4, _NUMBER["double_data"]: 8}
_VARINTS = frozenset(_NUMBER[name] for name in ("int32_data", "int64_data", "uint64_data"))
_DATA = frozenset((RAW, _NUMBER["string_data"], *_FIXED, *_VARINTS))
_ELSEWHERE = frozenset((_NUMBER["external_data"], _NUMBER["data_location"]))
_NEVER_HELD = frozenset((*_ELSEWHERE, _NUMBER["segment"], _NUMBER["string_data"]))


class DamagedError(Exception):
    """The bytes are no message."""


class UnusualError(Exception):
    """The bytes may be a message, but in a form that no exporter writes: protobuf should read it as a whole."""


class _Child(NamedTuple):
    """A field whose messages can hold tensors."""

    message: str
    repeated: bool


class _Field(NamedTuple):
    """One field of a message: its tag begins at `at`, its content is `begin` to `end`."""

    number: int
    wire: int
    at: int
    begin: int
    end: int


def skeleton_of(data: mmap, file: int) -> bytes:
    """A serialised model whose large tensors refer to their data in the file that it was read from.

    Args:
        data: The file.
        file: Its number, `mnncompat.graph.payloads.DataFile.number`.

    Raises:
        DamagedError: It is no message.
        UnusualError: Only protobuf can tell what it means.
    """
    found = _Reader(data, file).message("ModelProto", 0, len(data), 0)
    return data[:] if found is None else found


class _Reader:
    def __init__(self, data: mmap, file: int) -> None:
        self._data = data
        self._file = file

    def message(self, kind: str, start: int, end: int, depth: int) -> bytes | None:
        """The content of a message without what is held; None if nothing is."""
        if depth > _DEEPEST:
            raise UnusualError
        children = _children()[kind]
        pieces: list[bytes] = []
        kept = start
        once: set[int] = set()
        for field in _fields(self._data, start, end):
            child = children.get(field.number)
            if child is None or field.wire != _LENGTH:
                continue
            if not child.repeated and field.number in once:  # protobuf merges both
                raise UnusualError
            once.add(field.number)
            if field.end - field.begin <= LEAST_HELD_BYTES:
                continue
            is_tensor = child.message == "TensorProto"
            found = self._tensor(field) if is_tensor else self.message(child.message, *field[-2:], depth + 1)
            if found is not None:
                header = varint(field.number << 3 | _LENGTH) + varint(len(found))
                pieces += [self._data[kept : field.at], header, found]
                kept = field.end
        return b"".join((*pieces, self._data[kept:end])) if pieces else None

    def _tensor(self, tensor: _Field) -> bytes | None:
        found: _Field | None = None
        for field in _fields(self._data, tensor.begin, tensor.end):
            if field.number in _NEVER_HELD:
                return None
            if field.number in _DATA:
                if found is not None or field.wire != _LENGTH:
                    return None
                found = field
        if found is None or found.end - found.begin <= LEAST_HELD_BYTES:
            return None
        length = found.end - found.begin
        elements = self._elements(found)
        reference = TensorProto()
        hold(reference, Payload(self._file, found.begin, length, found.number, elements))
        rest = self._data[tensor.begin : found.at] + self._data[found.end : tensor.end]
        return rest + reference.SerializeToString()

    def _elements(self, field: _Field) -> int:
        if field.number in _VARINTS:
            return _count_varints(self._data, field.begin, field.end)
        width = _FIXED.get(field.number, 1)
        if (field.end - field.begin) % width:
            raise DamagedError
        return (field.end - field.begin) // width


def pieces_of(proto: ModelProto) -> Iterator[bytes | Payload]:
    """What a model is when it is serialised with the data of its held tensors, byte by byte: written one by one.

    Args:
        proto: The model; without its held data it must be smaller than 2 GB.
    """
    data = proto.SerializeToString()
    tokens: list[int] = []
    while (place := data.find(TOKEN_BYTES, tokens[-1] + 1 if tokens else 0)) >= 0:
        tokens.append(place)
    pieces, _ = _Writer(data, tokens).message("ModelProto", 0, len(data))
    yield from pieces


class _Writer:
    def __init__(self, data: bytes, tokens: list[int]) -> None:
        self._data = data
        self._tokens = tokens

    def message(self, kind: str, start: int, end: int) -> tuple[list[bytes | Payload], int]:
        """The content of a message, and its size."""
        children = _children()[kind]
        pieces: list[bytes | Payload] = []
        kept, size = start, 0
        for field in _fields(self._data, start, end) if self._holds(start, end) else ():
            child = children.get(field.number)
            if child is None or not self._holds(field.begin, field.end):
                continue
            inner, length = (
                self._tensor(field) if child.message == "TensorProto" else self.message(child.message, *field[-2:])
            )
            before = self._data[kept : field.at] + varint(field.number << 3 | _LENGTH) + varint(length)
            pieces += [before, *inner]
            size += len(before) + length
            kept = field.end
        return [*pieces, self._data[kept:end]], size + end - kept

    def _tensor(self, tensor: _Field) -> tuple[list[bytes | Payload], int]:
        payload = payload_of(TensorProto.FromString(self._data[tensor.begin : tensor.end]))
        if payload is None:
            return [self._data[tensor.begin : tensor.end]], tensor.end - tensor.begin
        before, after = bytearray(), bytearray()
        for field in _fields(self._data, tensor.begin, tensor.end):
            if field.number not in _ELSEWHERE:
                part = before if field.number < payload.field else after
                part += self._data[field.at : field.end]
        before += packed_header(payload)
        return [bytes(before), payload, bytes(after)], len(before) + payload.length + len(after)

    def _holds(self, start: int, end: int) -> bool:
        place = bisect_left(self._tokens, start)
        return place < len(self._tokens) and self._tokens[place] < end


def _fields(data: mmap | bytes, start: int, end: int) -> Iterator[_Field]:
    place = start
    while place < end:
        at = place
        tag, place = _varint(data, place, end)
        wire = tag & 7
        begin = place
        if wire == _LENGTH:
            length, begin = _varint(data, place, end)
            place = begin + length
        elif wire == _VARINT:
            _, place = _varint(data, place, end)
        elif wire in (_FIXED32, _FIXED64):
            place += 4 if wire == _FIXED32 else 8
        else:
            raise UnusualError
        if place > end:
            raise DamagedError
        if tag < 8:  # noqa: PLR2004 - there is no field 0
            raise UnusualError
        yield _Field(tag >> 3, wire, at, begin, place)


def _varint(data: mmap | bytes, place: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while place < end and shift < 7 * _LONGEST_VARINT:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the last byte
            return number, place
        shift += 7
    raise DamagedError


def _count_varints(data: mmap, start: int, end: int) -> int:
    count, last = 0, start - 1
    for place in range(start, end, _COUNTED_AT_ONCE):
        size = min(_COUNTED_AT_ONCE, end - place)
        import numpy as np  # a tenth of a check, and few models have such a field

        ends = np.flatnonzero(np.frombuffer(data, np.uint8, size, place) < 128) + place  # noqa: PLR2004 - as above
        if np.diff(ends, prepend=last).max(initial=0) > _LONGEST_VARINT:
            raise DamagedError
        count += len(ends)
        last = int(ends[-1]) if len(ends) else last
    if last != end - 1:
        raise DamagedError
    return count


@cache
def _children() -> dict[str, dict[int, _Child]]:
    """Fields that lead to tensors, by name of the message and number of the field."""
    messages: dict[str, Descriptor] = {}
    pending: list[Any] = [ModelProto.DESCRIPTOR]
    while pending:
        found = pending.pop()
        if found.name not in messages:
            messages[found.name] = found
            pending += [field.message_type for field in found.fields if field.message_type is not None]
    leading = {"TensorProto"}
    while more := {
        name
        for name, message in messages.items()
        if name not in leading
        and any(each.message_type and each.message_type.name in leading for each in message.fields)
    }:
        leading |= more
    return {
        name: {
            field.number: _Child(field.message_type.name, field.is_repeated)
            for field in messages[name].fields
            if field.message_type is not None and field.message_type.name in leading
        }
        for name in leading
        if name != "TensorProto"
    }
