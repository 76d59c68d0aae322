"""Tensors of a few numbers, as plain numbers: axes, sizes, bounds and factors are read without numpy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import prod
from struct import calcsize, pack, unpack
from typing import NamedTuple

from onnx import TensorProto

MOST_NUMBERS = 1024
"""Elements of a tensor that `small_tensor` reads."""
_CODES: dict[int, str] = {
    TensorProto.FLOAT: "f",
    TensorProto.UINT8: "B",
    TensorProto.INT8: "b",
    TensorProto.INT32: "i",
    TensorProto.INT64: "q",
    TensorProto.BOOL: "?",
    TensorProto.FLOAT16: "e",
    TensorProto.DOUBLE: "d",
}
"""Types whose elements are read, as `struct` calls them."""
_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT64: "int64_data",
    TensorProto.DOUBLE: "double_data",
}
"""Where elements stand that are not raw."""


class Numbers(NamedTuple):
    """What a small tensor holds.

    Attributes:
        values: Its elements, in row-major order.
        shape: Its dimensions.
        data_type: Of `onnx.TensorProto.DataType`.
    """

    values: Sequence[int | float]
    shape: tuple[int, ...]
    data_type: int


def small_tensor(tensor: TensorProto) -> Numbers | None:
    """The numbers of a tensor; None of larger tensors, of those in other files, and of types that are no numbers.

    Raises:
        ValueError: The data do not fit the dimensions.
    """
    kind, dims = tensor.data_type, tuple(tensor.dims)
    code, elements = _CODES.get(kind), prod(dims)
    if code is None or elements > MOST_NUMBERS or sys.byteorder != "little" or tensor.HasField("segment"):
        return None
    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    found: Sequence[int | float]
    if tensor.HasField("raw_data"):
        data = tensor.raw_data
        if len(data) != elements * calcsize(code):
            raise ValueError(f"{len(data)} bytes for {elements} elements")
        found = unpack(f"<{elements}{code}", data)
    elif kind in _FIELDS:
        found = tuple(getattr(tensor, _FIELDS[kind]))
        if len(found) != elements:
            raise ValueError(f"{len(found)} numbers for {elements} elements")
    else:
        return None
    return Numbers(found, dims, kind)


def integers_tensor(values: Sequence[int], shape: Sequence[int], name: str) -> TensorProto:
    """A tensor of int64 that holds numbers in row-major order."""
    return TensorProto(name=name, data_type=TensorProto.INT64, dims=shape, raw_data=pack(f"<{len(values)}q", *values))
