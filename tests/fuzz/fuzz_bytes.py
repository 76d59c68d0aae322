"""Mutations of a model's bytes: what any damaged file looks like, and what protobuf's wire format allows."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

ByteMutation = Callable[[bytes, Random], bytes]

_VARINT, _FIXED64, _LENGTH, _GROUP, _GROUP_END, _FIXED32 = range(6)
_NESTED = 120
"""Deeper than protobuf reads."""
_HUGE_VARINT = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"


def flips(data: bytes, random: Random) -> bytes:
    """A few bytes changed."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def truncation(data: bytes, random: Random) -> bytes:
    """The beginning, or all but a part in the middle."""
    start, end = sorted((random.randrange(len(data)), random.randrange(len(data))))
    return data[:end] if random.random() < 0.5 else data[:start] + data[end:]


def not_utf8(data: bytes, random: Random) -> bytes:
    """A byte of a name that is no UTF-8."""
    letters = [index for index, byte in enumerate(data) if 97 <= byte <= 122]
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 3))):
        changed[random.choice(letters)] = random.choice((0xFF, 0xC3, 0x80, 0xED))
    return bytes(changed)


def fields(data: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """The fields of a message: (number, wire type, where it starts, where its payload starts); empty if malformed."""
    found = []
    position = start
    while position < end:
        begin = position
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        payload = position
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _LENGTH:
            length, payload = _varint(data, position)
            position = payload + length
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            return []
        if position > end or number == 0:
            return []
        found.append((number, kind, begin, payload))
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            break
    return value, position


def wire(data: bytes, random: Random) -> bytes:
    """A field of some message dropped, repeated, renumbered or retyped; lengths around it are kept right."""
    return _in_message(data, random, 0)


def _in_message(data: bytes, random: Random, depth: int) -> bytes:
    found = fields(data, 0, len(data))
    if not found:
        return flips(data, random) if data else data
    index = random.randrange(len(found))
    number, kind, begin, payload = found[index]
    end = found[index + 1][2] if index + 1 < len(found) else len(data)
    if kind == _LENGTH and depth < 6 and random.random() < 0.8:
        inner = _in_message(data[payload:end], random, depth + 1)
        return data[:begin] + _key(number, _LENGTH) + _encoded(len(inner)) + inner + data[end:]
    instead = (
        b"",
        data[begin:end] * random.choice((2, 3, 50)),
        _key(random.randrange(1, 25), kind) + data[begin + 1 : end],
        _key(number, _VARINT) + random.choice((_HUGE_VARINT, b"\0", b"\x7f")),
        _key(number, _LENGTH) + b"\x03\xff\x00a",
        _key(number, _LENGTH)
        + random.choice((_HUGE_VARINT, b"\xff\xff\xff\xff\x07", b"\x80\x80\x80\x80\x08"))
        + data[payload:end],
        _key(random.choice((99, 2**29 - 1)), random.choice((_VARINT, _LENGTH))) + b"\x01a" + data[begin:end],
        _key(number, _GROUP) * _NESTED + data[begin:end] + _key(number, _GROUP_END) * _NESTED,
        _key(number, _VARINT) + b"\x81" + b"\x80" * random.choice((3, 8, 9, 12)) + b"\0",
    )
    return data[:begin] + random.choice(instead) + data[end:]


def _key(number: int, kind: int) -> bytes:
    return _encoded(number << 3 | kind)


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes((*parts, value))


BYTE_MUTATIONS: tuple[ByteMutation, ...] = (flips, truncation, not_utf8, not_utf8, wire, wire, wire)
