"""Plants a fault in one op of a converted file, in place: weights scrambled or scaled, another operation or bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

import numpy as np

from mnncompat.mnn import read_graph, schema
from mnncompat.mnn.flatbuffer import INT8, INT32, UINT8, Flatbuffer, Table
from mnncompat.mnn.graph import _Net, _Op, _Subgraph

_FLOAT = Struct("<f")
# Vectors of float32 in the parameters of an op, by the kind of parameter: field, what it is.
_VECTORS = {
    "Convolution2D": ((1, "weights"), (2, "bias")),
    "Blob": ((7, "constant"),),
    "Scale": ((1, "scale"), (2, "shift")),
    "LayerNorm": ((2, "gamma"), (3, "beta")),
    "PRelu": ((1, "slopes"),),
}
# Operations that take the same number of operands: MUL 2 -> ADD 0 and so on.
_BINARY = {1: 2, 2: 1, 3: 4, 4: 3, 7: 2, 8: 9, 9: 8}
# Single float32 in the parameters, and single bytes that say which operation it is.
_NUMBERS = {
    "Relu6": ((0, "bound"), (1, "bound")),
    "Relu": ((0, "slope"),),
    "ELU": ((0, "alpha"),),
    "LayerNorm": ((1, "epsilon"),),
    "LRN": ((2, "alpha"), (3, "beta")),
}
_BYTES = {"ReductionParam": (0, {0: 3, 3: 0, 4: 5, 5: 4}), "Pool": (8, {1: 0})}
_STRIDE = 4
_UNARY = {0: 2, 4: 10, 5: 0, 10: 4, 30: 31, 31: 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a fault can be planted.

    Attributes:
        op: Type of the op.
        body: Subgraph that holds it; empty for the main graph.
        what: What is changed.
        at: First byte.
        count: Number of float32 there; 0 for a single byte, which becomes `byte`.
        byte: See `count`.
        values: Tensors that the op computes; of a constant those of the ops that read it.
        outputs: Numbers of the tensors of these ops.
    """

    op: str
    body: str
    what: str
    at: int
    count: int
    values: tuple[str, ...]
    outputs: tuple[int, ...] = ()
    byte: int = 0


def sites(file: Path) -> list[Site]:
    """All sites of a file."""
    buffer = Flatbuffer(file.read_bytes())
    net, graph = buffer.root(), read_graph(file)
    tables = [(table, "") for table in net.tables(_Net.OPS)]
    for subgraph in net.tables(_Net.SUBGRAPHS):
        tables += [(table, subgraph.text(_Subgraph.NAME)) for table in subgraph.tables(_Subgraph.OPS)]
    found: list[Site] = []
    for (table, body), op in zip(tables, graph.ops, strict=True):
        main = table.table(_Op.MAIN)
        if main is None:
            continue
        readers = [each for each in graph.ops if each.body == body and set(op.outputs) & set(each.inputs)]
        told = readers if op.type == "Const" else [op]
        values = tuple(name for each in told for name in each.values)
        outputs = tuple(number for each in told for number in each.outputs)
        kind = schema.PARAMETERS.get(table.number(_Op.KIND, UINT8), "")
        for what, at, count, byte in _places(main, kind):
            found.append(
                Site(op=op.type, body=body, what=what, at=at, count=count, byte=byte, values=values, outputs=outputs)
            )
    return found


def _places(main: Table, kind: str) -> Iterator[tuple[str, int, int, int]]:
    for field, what in _VECTORS.get(kind, ()):
        place = main._place(field)
        if place:
            first, count = main._buffer.vector(main._buffer.target(place), _FLOAT.size)
            if count:
                yield what, first, count, 0
    if kind in ("BinaryOp", "UnaryOp"):
        place, swap = main._place(0), _BINARY if kind == "BinaryOp" else _UNARY
        if place and main.number(0, INT32 if kind == "" else INT8) in swap:
            yield "operation", place, 0, swap[main.number(0, INT8)]
    for field, what in _NUMBERS.get(kind, ()):
        if main._place(field):
            yield what, main._place(field), 1, 0
    swapped = _BYTES.get(kind)
    place = main._place(swapped[0]) if swapped else 0
    if swapped and place and main.number(swapped[0], INT8) in swapped[1]:
        yield "operation", place, 0, swapped[1][main.number(swapped[0], INT8)]
    common = main.table(0) if kind == "Convolution2D" else None
    if common is not None and common._place(_STRIDE):
        yield "stride of zero", common._place(_STRIDE), 0, 0


def plant(file: Path, site: Site, out: Path, draws: np.random.Generator) -> bool:
    """Write a file with a fault; False if the bytes stay what they are."""
    content = bytearray(file.read_bytes())
    before = bytes(content)
    if not site.count:
        content[site.at] = site.byte
    else:
        numbers = np.frombuffer(content, np.float32, site.count, site.at).copy()
        numbers[:] = _changed(numbers, draws)
        content[site.at : site.at + 4 * site.count] = numbers.tobytes()
    out.write_bytes(content)
    return bytes(content) != before


def _changed(numbers: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Scrambled, scaled, shifted, or a part of them zero."""
    way = draws.integers(4) if numbers.size > 1 else 1
    if way == 0:
        return draws.permutation(numbers)
    if way == 1:
        factor = np.float32(draws.choice([0.5, 1.3, -1.0]))
        return np.asarray(numbers * factor + np.float32(0.1 if numbers.size == 1 else 0))
    if way == 2:
        return np.asarray(numbers + np.float32(0.3) * (np.abs(numbers).mean() + np.float32(1e-3)))
    return np.asarray(np.where(np.arange(numbers.size) < max(1, numbers.size // 4), 0, numbers))
