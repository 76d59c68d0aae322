"""Read the tables of a flatbuffer of which nothing is trusted: every offset is checked before it is followed.

Only what is asked for is read, so a file that is mapped into memory is not loaded. The format is that of
https://flatbuffers.dev/internals: a table points back to a vtable, which holds the offset of each field in the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

INT8, UINT8, INT32, INT64 = Struct("<b"), Struct("<B"), Struct("<i"), Struct("<q")
"""The scalar types that fields have."""
_UINT16, _UINT32 = Struct("<H"), Struct("<I")
_MOST_BYTES = 1 << 27
_MOST_OFTEN = 4


class FlatbufferError(Exception):
    """An offset or a length points out of the buffer, or more is read than a buffer without loops can hold."""


class Flatbuffer:
    """A buffer, read within bounds.

    Tables and texts may be shared, so a small hostile buffer could describe an enormous graph. What is read is bounded
    by four times the buffer's size, and by 128 MiB (a million ops).

    Args:
        content: The buffer.
    """

    __slots__ = ("_content", "_layouts", "_left", "_size")

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self._content = content
        self._size = len(content)
        self._left = min(_MOST_OFTEN * self._size, _MOST_BYTES)
        self._layouts: dict[int, tuple[int, tuple[int, ...]]] = {}

    def root(self) -> Table:
        """The buffer's root table.

        Raises:
            FlatbufferError: There is none.
        """
        return self.table(self.number(0, _UINT32))

    def number(self, at: int, form: Struct) -> int:
        """The number at a position.

        Raises:
            FlatbufferError: It is not within the buffer.
        """
        if not 0 <= at <= self._size - form.size:
            raise FlatbufferError(f"byte {at} of {self._size} is read")
        found: int = form.unpack_from(self._content, at)[0]
        return found

    def target(self, at: int) -> int:
        """The position that the offset at a position points to, which is always ahead."""
        return at + self.number(at, _UINT32)

    def bytes(self, at: int, count: int) -> bytes:
        """A copy of `count` bytes.

        Raises:
            FlatbufferError: They are not within the buffer, or too many were read.
        """
        if not 0 <= at <= self._size - count:
            raise FlatbufferError(f"bytes {at} to {at + count} of {self._size} are read")
        self._spend(count)
        return self._content[at : at + count]

    def vector(self, at: int, width: int) -> tuple[int, int]:
        """Position of the first element and number of elements of the vector at a position; they are in the buffer.

        Raises:
            FlatbufferError: They are not.
        """
        count, first = self.number(at, _UINT32), at + _UINT32.size
        if count * width > self._size - first:
            raise FlatbufferError(f"{count} elements of {width} bytes at byte {first} of {self._size}")
        return first, count

    def table(self, at: int) -> Table:
        """The table at a position.

        Raises:
            FlatbufferError: It is not within the buffer, or too many tables were read.
        """
        layout = at - self.number(at, INT32)
        size, fields = self._layouts.get(layout) or self._layout(layout)
        if at > self._size - size:
            raise FlatbufferError(f"a table of {size} bytes at byte {at} of {self._size}")
        self._spend(size)
        return Table(self, at, fields)

    def _layout(self, at: int) -> tuple[int, tuple[int, ...]]:
        """Size of the tables that share the vtable at a position, and the offset of each field in them, 0 if absent."""
        length, size = self.number(at, _UINT16), self.number(at + 2, _UINT16)
        offsets = tuple(offset for (offset,) in _UINT16.iter_unpack(self.bytes(at + 4, max(length - 4, 0) & ~1)))
        if size < INT32.size or any(offset >= size for offset in offsets):
            raise FlatbufferError(f"a layout at byte {at} has fields outside of its table")
        self._layouts[at] = size, offsets
        return size, offsets

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise FlatbufferError("more is described than a file of this size can hold")


class Table:
    """A table. Fields are named by their number, in the order of the schema; a union takes two, its type and its value.

    Every method raises `FlatbufferError` where the buffer is damaged.
    """

    __slots__ = ("_at", "_buffer", "_fields")

    def __init__(self, buffer: Flatbuffer, at: int, fields: tuple[int, ...]) -> None:
        self._buffer = buffer
        self._at = at
        self._fields = fields

    def number(self, field: int, form: Struct, default: int = 0) -> int:
        """A scalar; `default` if it is absent."""
        at = self._place(field)
        return self._buffer.number(at, form) if at else default

    def text(self, field: int) -> str:
        """A string; empty if it is absent. What is not UTF-8 is replaced."""
        at = self._place(field)
        return self._text(self._buffer.target(at)) if at else ""

    def table(self, field: int) -> Table | None:
        """A table, None if it is absent."""
        at = self._place(field)
        return self._buffer.table(self._buffer.target(at)) if at else None

    def count(self, field: int, width: int) -> int:
        """Number of elements, of `width` bytes, of a vector; 0 if it is absent. The elements are not read."""
        at = self._place(field)
        return self._buffer.vector(self._buffer.target(at), width)[1] if at else 0

    def numbers(self, field: int, form: Struct = INT32) -> tuple[int, ...]:
        """A vector of scalars; empty if it is absent."""
        return tuple(number for (number,) in form.iter_unpack(self._elements(field, form.size)[1]))

    def tables(self, field: int) -> Iterator[Table]:
        """A vector of tables; empty if it is absent."""
        return (self._buffer.table(at) for at in self._targets(field))

    def texts(self, field: int) -> tuple[str, ...]:
        """A vector of strings; empty if it is absent."""
        return tuple(self._text(at) for at in self._targets(field))

    def target(self, field: int) -> int:
        """Position of the table, text or vector that a field refers to; 0 if it is absent."""
        at = self._place(field)
        return self._buffer.target(at) if at else 0

    def has(self, field: int) -> bool:
        """True if the field is present. One that has its default may be absent."""
        return bool(self._place(field))

    def _place(self, field: int) -> int:
        """Position of a field, 0 if it is absent."""
        offset = self._fields[field] if field < len(self._fields) else 0
        return self._at + offset if offset else 0

    def _elements(self, field: int, width: int) -> tuple[int, bytes]:
        at = self._place(field)
        if not at:
            return 0, b""
        first, count = self._buffer.vector(self._buffer.target(at), width)
        return first, self._buffer.bytes(first, count * width)

    def _targets(self, field: int) -> Iterator[int]:
        first, elements = self._elements(field, _UINT32.size)
        return (first + 4 * index + offset for index, (offset,) in enumerate(_UINT32.iter_unpack(elements)))

    def _text(self, at: int) -> str:
        first, count = self._buffer.vector(at, 1)
        return self._buffer.bytes(first, count).decode("utf-8", "replace")
