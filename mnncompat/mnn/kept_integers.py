"""Integers that MNN's own weight quantisation holds: the converter is told which ops get it, then they are stored.

The converter chooses scales of its own. What it writes for weights of so many bits has a form that depends on the sizes
alone, so the integers and scales that a model came with are put in place of its own.

Source: `IDSTEncoder::encode` and `WeightQuantAndCoding` at 3.6.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnncompat.errors import ModelError
from mnncompat.mnn.flatbuffer import INT32, UINT8, Flatbuffer, FlatbufferError, Table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LEAST_BLOCK = 16
"""MNN's blocks are multiples of this many rows."""
_OPS = 3
_MAIN, _NAME, _TYPE_OF_MAIN = 2, 3, 1
_WEIGHT, _ENCODING = 1, 3
_BUFFER, _ALPHA, _TYPE, _BITS, _WIDE = 0, 1, 2, 7, 11
_CONVOLUTION = "Convolution2D"
_BY_VALUE = 1
"""The type of weights of which every one is stored, as the number of its value."""


class KeptIntegers(NamedTuple):
    """Weights of one op of a file.

    Attributes:
        op: Its name.
        bits: Of each integer.
        block: Rows that share a scale, a multiple of 16.
        integers: (columns, rows), from 0.
        scales: (columns, blocks), float32.
        least: Likewise: what the integer 0 stands for.
    """

    op: str
    bits: int
    block: int
    integers: NDArray[np.uint8]
    scales: NDArray[np.float32]
    least: NDArray[np.float32]


def parameters(kept: Sequence[KeptIntegers]) -> str:
    """What the converter is told (``--compressionParamsFile``, JSON): the bits and blocks of these ops alone."""
    layers = [
        {
            "op_name": each.op,
            "weight": [{"name": each.op, "bits": each.bits, "asymmetric": True, "block_size": each.block}],
        }
        for each in kept
    ]
    algorithm = {"type": "QUANTIZE", "quant_params": {"layer": layers}}
    return json.dumps({"version": "0.0.0", "for_guide": True, "algo": [algorithm]})


def plain_weights(file: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names of the convolutions of a file's main graph, and their weights as they are stored.

    Raises:
        ModelError: The file is damaged.
    """
    content = file.read_bytes()
    try:
        for name, main in _convolutions(Flatbuffer(content)):
            at, count = main.target(_WEIGHT), main.count(_WEIGHT, 4)
            if count:
                yield name, np.frombuffer(content, "<f4", count, at + 4)
    except FlatbufferError as error:
        raise _damaged(file) from error


def store(file: Path, kept: Sequence[KeptIntegers]) -> None:
    """Put integers and scales in place of those that the converter chose.

    Args:
        file: What the converter wrote, told `parameters` of the same.
        kept: What is put there.

    Raises:
        ModelError: The converter did not quantise an op as it was told; the file is unchanged.
    """
    content = bytearray(file.read_bytes())
    wanted = {each.op: each for each in kept}
    try:
        for name, main in _convolutions(Flatbuffer(bytes(content))):
            if name in wanted:
                _put(content, main.table(_ENCODING), wanted.pop(name), file)
    except FlatbufferError as error:
        raise _damaged(file) from error
    if wanted:
        raise _unlike(file, next(iter(wanted)))
    file.write_bytes(content)


def _convolutions(buffer: Flatbuffer) -> Iterator[tuple[str, Table]]:
    from mnncompat.mnn import schema

    for op in buffer.root().tables(_OPS):
        main = op.table(_MAIN)
        if main is not None and schema.PARAMETERS.get(op.number(_TYPE_OF_MAIN, UINT8)) == _CONVOLUTION:
            yield op.text(_NAME), main


def _put(content: bytearray, encoding: Table | None, kept: KeptIntegers, file: Path) -> None:
    columns, rows = kept.integers.shape
    blocks = kept.scales.shape[1]
    alpha = np.stack([kept.least, kept.scales], axis=-1).astype("<f4").tobytes()
    if encoding is None or encoding.number(_TYPE, INT32) != _BY_VALUE or encoding.number(_BITS, INT32) != kept.bits:
        raise _unlike(file, kept.op)
    packed = _packed(kept.integers, kept.bits)
    values = 1 << kept.bits
    width = 4 if encoding.number(_WIDE, UINT8) else 2
    dims = b"".join(int(each).to_bytes(width, "little") for each in (columns * blocks, rows // blocks))
    head = bytes([2]) + dims + bytes([values % 256]) + bytes((each - values // 2) % 256 for each in range(values))
    at, count = encoding.target(_BUFFER) + 4, encoding.count(_BUFFER, 1)
    scales, numbers = encoding.target(_ALPHA) + 4, encoding.count(_ALPHA, 4)
    if content[at : at + len(head)] != head or count != len(head) + len(packed) or numbers * 4 != len(alpha):
        raise _unlike(file, kept.op)
    content[at + len(head) : at + count] = packed
    content[scales : scales + len(alpha)] = alpha


def _packed(integers: NDArray[Any], bits: int) -> bytes:
    """Integers of a few bits in bytes, the high bits first."""
    places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    return np.packbits((integers.reshape(-1, 1) >> places) & 1).tobytes()


def _damaged(file: Path) -> ModelError:
    return ModelError(f"{file} is no .mnn file, or is damaged", hint="convert the model again")


def _unlike(file: Path, op: str) -> ModelError:
    return ModelError(
        f"MNN's converter did not write the weights of {op!r} as it was told, into {file}",
        hint="convert without --keep-quantized: the weights are floats then",
    )
