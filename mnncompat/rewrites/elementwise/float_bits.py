"""The bits of floats as integers, and back, by arithmetic; `cast-bits` calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value


class Layout(NamedTuple):
    """How a float is stored.

    Attributes:
        mantissa: Bits of the mantissa.
        exponents: How many values the exponent field has.
        bias: What is added to the exponent.
    """

    mantissa: int
    exponents: int
    bias: int

    @property
    def width(self) -> int:
        """All bits."""
        return self.mantissa + self.exponents.bit_length()


LAYOUTS: dict[int, Layout] = {TensorProto.FLOAT: Layout(23, 256, 127), TensorProto.FLOAT16: Layout(10, 32, 15)}
"""Of the types that MNN holds without a loss."""


def bits_of(new: SubgraphBuilder, value: Value, to: int) -> Value:
    """The bits of floats as integers of a type; those of every NaN are those of the quiet one.

    The exponent field is the number of powers of two that the magnitude reaches. Divided by its power of two, the
    magnitude is 1 and a fraction, exactly; numbers below the smallest power are multiples of the smallest number.
    """
    layout = LAYOUTS[value.dtype]
    wide = new.cast(value, TensorProto.FLOAT)
    is_nan = new.op("Not", new.op("Or", new.op("Greater", wide, -1), new.op("Greater", -wide, 0)))
    number = new.op("Where", is_nan, np.zeros((), np.float32), wide)
    size = new.op("Abs", number)
    powers = _powers(layout)
    reached = new.cast(new.op("GreaterOrEqual", new.unsqueeze(size, (-1,)), powers[1:]), TensorProto.FLOAT)
    field = new.cast(new.squeeze(new.reduce("ReduceSum", reached, (-1,)), (-1,)), TensorProto.INT32)
    first, second = _inverses(layout)
    places = size
    for factor in (first, second):
        places = places * new.op("Gather", new.constant(factor), field, axis=0)
    is_infinite = new.op("Equal", field, np.asarray(layout.exponents - 1, np.int32))
    places = new.op("Where", is_infinite, np.zeros((), np.float32), places)
    begin = np.arange(layout.exponents, dtype=np.int64) << layout.mantissa
    begin[1:] -= 1 << layout.mantissa  # the leading one is counted by `places`
    begin[-1] += 1 << layout.mantissa
    bits = new.op("Gather", new.constant(begin.astype(np.int32)), field, axis=0) + new.cast(places, TensorProto.INT32)
    quiet = ((layout.exponents - 1) << layout.mantissa) + (1 << (layout.mantissa - 1))
    bits = new.op("Where", is_nan, np.asarray(quiet, np.int32), bits)
    zero = np.zeros((), np.float32)  # the sign of -0 shows in its reciprocal; ONNX Runtime's Where would lose it
    is_negative = new.op("Or", new.op("Less", wide, zero), new.op("Less", 1.0 / wide, zero))
    sign = (1 if to == TensorProto.UINT16 else -1) << (layout.width - 1)
    return new.cast(new.op("Where", is_negative, bits + np.asarray(sign, np.int32), bits), to)


def floats_of(new: SubgraphBuilder, value: Value, to: int) -> Value:
    """The floats of a type whose bits are integers."""
    layout = LAYOUTS[to]
    bits = new.cast(value, TensorProto.INT32)
    top = 1 << (layout.width - 1)
    zero = np.zeros((), np.int32)
    if value.dtype == TensorProto.UINT16:
        is_negative = new.op("Not", new.op("Less", bits, np.asarray(top, np.int32)))
        magnitude = new.op("Where", is_negative, bits - np.asarray(top, np.int32), bits)
    else:
        is_negative = new.op("Less", bits, zero)
        magnitude = new.op("Where", is_negative, bits + np.asarray(top - 1, np.int32) + np.ones((), np.int32), bits)
    unit = np.asarray(1 << layout.mantissa, np.int32)
    field = magnitude / unit
    places = new.cast(magnitude - field * unit, TensorProto.FLOAT)
    leading = np.full(layout.exponents, float(1 << layout.mantissa), np.float32)
    leading[0] = leading[-1] = 0
    whole = places + new.op("Gather", new.constant(leading), field, axis=0)
    numbers = whole
    for factor in _factors(layout):
        numbers = numbers * new.op("Gather", new.constant(factor), field, axis=0)
    special = new.op("Where", new.op("Equal", places, np.zeros((), np.float32)), *_constants(np.inf, np.nan))
    is_special = new.op("Equal", field, np.asarray(layout.exponents - 1, np.int32))
    numbers = new.op("Where", is_special, special, numbers)
    return new.cast(numbers * new.op("Where", is_negative, *_constants(-1, 1)), to)


def _constants(*numbers: float) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(each, np.float32) for each in numbers)


def _powers(layout: Layout) -> np.ndarray:
    """The smallest magnitude of every exponent field; the last is infinite."""
    exponents = np.arange(layout.exponents, dtype=np.float64) - layout.bias
    powers = np.exp2(exponents)
    powers[-1] = np.inf
    return powers.astype(np.float32)


def _inverses(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """For every exponent field two factors that make a magnitude a number of last places."""
    scale = layout.mantissa - np.maximum(np.arange(layout.exponents) - layout.bias, 1 - layout.bias)
    scale[-1] = 0
    return _halves(scale)


def _factors(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """For every exponent field two factors that make a number of last places a magnitude."""
    scale = np.maximum(np.arange(layout.exponents) - layout.bias, 1 - layout.bias) - layout.mantissa
    scale[-1] = 0
    return _halves(scale)


def _halves(scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A power of two as a product of two, none of which overflows or is below the smallest normal number."""
    half = scale // 2
    return np.exp2(half.astype(np.float64)).astype(np.float32), np.exp2((scale - half).astype(np.float64)).astype(
        np.float32
    )


def require_layout(value: Value, to: int) -> None:
    """Check that one of two types is a float that MNN holds and the other an integer that it holds.

    Raises:
        NotApplicable: It does not.
    """
    floats = {value.dtype, to} & LAYOUTS.keys()
    if not floats or {value.dtype, to} & {TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64}:
        first, second = (TensorProto.DataType.Name(each) for each in (value.dtype, to))
        raise NotApplicable(f"the bits of {first} are read as {second}, and MNN holds one of them in fewer bits")
