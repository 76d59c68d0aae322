"""A body of an `.mnn` file (a branch of If, the body of a loop) as a file of its own.

Its ops, tensors and weights stay where they are: a new root table is put in front, which names the body as the main
graph. Offsets of a flatbuffer are relative, so all others stay as they are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from struct import pack
from typing import NamedTuple

from mnncompat.errors import ModelError
from mnncompat.mnn import schema
from mnncompat.mnn.flatbuffer import UINT8, Flatbuffer, FlatbufferError
from mnncompat.mnn.graph import _Net, _Op, _Subgraph

_FRONT, _TABLE, _LAYOUT = 64, 32, 4
_FIELDS = 11
_HOLDING = ("IfParam", "WhileParam")
_PLACES = {_Net.OPS: 4, _Net.OUTPUTS: 8, _Net.TENSORS: 12, _Net.SUBGRAPHS: 16, _Net.EXTRA_INFO: 20}
_TABLE_BYTES = 24


class Bodies(NamedTuple):
    """Names of the bodies of an op.

    Attributes:
        first: Of the first branch of If, or the condition of While.
        second: Of the other branch, or the body.
    """

    first: str
    second: str


def bodies_of(file: Path, value: str) -> Bodies | None:
    """The bodies of the If or While of a file's main graph that computes a value; None if there is none.

    Raises:
        ModelError: The file cannot be read.
    """
    net = _read(file).root()
    names = net.texts(_Net.TENSORS)
    for table in net.tables(_Net.OPS):
        if any(names[number] == value for number in table.numbers(_Op.OUTPUTS) if number < len(names)):
            main = table.table(_Op.MAIN)
            kind = schema.PARAMETERS.get(table.number(_Op.KIND, UINT8), "")
            return Bodies(main.text(0), main.text(1)) if main is not None and kind in _HOLDING else None
    return None


def write_body(file: Path, name: str, out: Path) -> bool:
    """Write a file whose main graph is a body of another file; False if there is no such body.

    Raises:
        ModelError: The file cannot be read.
    """
    buffer = _read(file)
    net = buffer.root()
    body = next((each for each in net.tables(_Net.SUBGRAPHS) if each.text(_Subgraph.NAME) == name), None)
    if body is None:
        return False
    targets = {
        _Net.OPS: body.target(_Subgraph.OPS),
        _Net.TENSORS: body.target(_Subgraph.TENSORS),
        **{field: net.target(field) for field in (_Net.OUTPUTS, _Net.SUBGRAPHS, _Net.EXTRA_INFO)},
    }
    out.write_bytes(_front(targets) + file.read_bytes())
    weights = file.with_name(f"{file.name}.weight")
    if weights.is_file():
        beside = out.with_name(f"{out.name}.weight")
        try:
            os.link(weights, beside)
        except OSError:
            shutil.copyfile(weights, beside)
    return True


def _front(targets: dict[int, int]) -> bytes:
    """Root offset, layout and table; targets are positions in the file as it is, 0 where there is none."""
    offsets = [_PLACES.get(field, 0) if targets.get(field) else 0 for field in range(_FIELDS)]
    layout = pack("<HH", 4 + 2 * _FIELDS, _TABLE_BYTES) + pack(f"<{_FIELDS}H", *offsets)
    front = bytearray(_FRONT)
    front[0:4] = pack("<I", _TABLE)
    front[_LAYOUT : _LAYOUT + len(layout)] = layout
    front[_TABLE : _TABLE + 4] = pack("<i", _TABLE - _LAYOUT)
    for field, place in _PLACES.items():
        if targets.get(field):
            at = _TABLE + place
            front[at : at + 4] = pack("<I", _FRONT + targets[field] - at)
    return bytes(front)


def _read(file: Path) -> Flatbuffer:
    try:
        return Flatbuffer(file.read_bytes())
    except (OSError, FlatbufferError) as error:
        raise ModelError(f"{file} cannot be read: {error}", hint="convert the model again") from error
