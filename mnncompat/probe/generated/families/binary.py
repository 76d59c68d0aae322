"""Operators of two or more tensors, element by element, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.families.broadcast import broadcast_pair
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import FLOATS, NUMBERS, Sample

_CONSTANT_RIGHT, _CONSTANT_LEFT = 0.5, 0.14
_BITS = {"uint8": 1.0, "uint32": 1.0, "uint64": 0.3}
_BITWISE = {"int32": 3.0, "int64": 3.0, "uint8": 1.0}
_VARIADIC_BROADCASTS = 8


def emit_pair(sample: Sample, left: np.ndarray, right: np.ndarray, **attributes: Any) -> None:
    """Add the node with either operand constant, or none."""
    where = sample.weighted({"right": _CONSTANT_RIGHT, "left": _CONSTANT_LEFT, "none": 0.36})
    names = [
        sample.constant(values, "b") if where == side else sample.input(values, stem)
        for values, side, stem in ((left, "left", "a"), (right, "right", "b"))
    ]
    sample.emit(*names, **attributes)


@generator("Add", "Sub", "Mul", weight=60)
def arithmetic(sample: Sample) -> None:
    """Sums, differences and products in every broadcast."""
    dtype = sample.dtype(NUMBERS)
    left, right = broadcast_pair(sample)
    emit_pair(sample, sample.normal(left, dtype), sample.normal(right, dtype))


@generator("Div", weight=60)
def division(sample: Sample) -> None:
    """Divisors are not zero; integers of both signs."""
    dtype = sample.dtype(NUMBERS)
    left, right = broadcast_pair(sample)
    divisor = sample.uniform(right, 0.5 if dtype.kind == "f" else 1, 5, dtype)
    if dtype.kind != "u" and sample.chance(0.4):
        divisor = divisor * np.where(sample.random.random(right) < 0.5, -1, 1).astype(dtype)  # noqa: PLR2004
    emit_pair(sample, sample.normal(left, dtype, 3.0), divisor)


@generator("Pow", weight=40, precision=Precision.APPROXIMATE)
def power(sample: Sample) -> None:
    """Squares, roots and cubes by a constant; now and then an exponent a tensor."""
    dtype = sample.dtype({"float32": 85.0, "float16": 8.0, "int32": 3.0, "int64": 3.0, "float64": 1.0})
    if sample.chance(0.75):
        exponent = sample.weighted({2.0: 6.0, 0.5: 2.0, 3.0: 3.0, -1.0: 1.0, 1.5: 0.5, 4.0: 0.5})
        if dtype.kind == "i":
            exponent = abs(float(round(exponent)))
        low = -3.0 if exponent in {2.0, 3.0, 4.0} else 0.3
        base = sample.uniform(sample.shape(), low, 3.0, dtype)
        kind = np.dtype(np.float32) if sample.version >= 12 and sample.chance(0.05) else dtype  # noqa: PLR2004
        scalar = np.array(exponent if sample.chance(0.8) else [exponent], kind)
        sample.emit(sample.input(base, "a"), sample.operand(scalar, "exponent", constant=0.95))
        return
    left, right = broadcast_pair(sample)
    low = 1 if dtype.kind == "i" else 0.3
    emit_pair(sample, sample.uniform(left, low, 3.0, dtype), sample.uniform(right, 0, 3, dtype))


@generator("Mod", weight=40)
def modulo(sample: Sample) -> None:
    """`fmod` is required for floating-point numbers; negative dividends and divisors for integers."""
    dtype = sample.dtype({"int64": 6.0, "int32": 4.0, "float32": 4.0, "float16": 0.5, "uint8": 0.3})
    left, right = broadcast_pair(sample)
    fmod = 1 if dtype.kind == "f" else sample.pick((None, None, 0, 1))
    dividend, divisor = sample.normal(left, dtype, 5.0), sample.uniform(right, 1, 5, dtype)
    if dtype.kind != "u" and sample.chance(0.3):
        divisor = divisor * np.where(sample.random.random(right) < 0.5, -1, 1).astype(dtype)  # noqa: PLR2004
    emit_pair(sample, dividend, divisor, fmod=fmod)


@generator("Max", "Min", "Sum", "Mean", weight=40)
def variadic(sample: Sample) -> None:
    """Two operands mostly, also one, three and four; broadcast from opset 8 on."""
    dtype = sample.dtype(NUMBERS if sample.op in {"Max", "Min"} else FLOATS)
    count = sample.weighted({2: 7.0, 3: 2.0, 1: 0.6, 4: 0.6})
    left, right = broadcast_pair(sample) if sample.version >= _VARIADIC_BROADCASTS else (sample.shape(),) * 2
    if count == 2:  # noqa: PLR2004 - a pair
        emit_pair(sample, sample.normal(left, dtype), sample.normal(right, dtype))
        return
    shapes = [left, right, left, right if sample.chance(0.3) else left][:count]
    names = [sample.input(sample.normal(shapes[0], dtype), "a")]
    names += [sample.operand(sample.normal(shape, dtype), "b", constant=0.3) for shape in shapes[1:]]
    sample.emit(*names)


@generator("PRelu", weight=40)
def prelu(sample: Sample) -> None:
    """A slope a channel `[C, 1, 1]` as PyTorch writes it, one for all, a full tensor, and other broadcasts."""
    dtype = sample.dtype()
    shape = sample.shape(2, 4)
    channel = (shape[1],) + (1,) * (len(shape) - 2)
    slope = sample.weighted({channel: 6.0, (1,): 3.0, shape[1:]: 1.5, (shape[-1],): 1.0, (1, *channel): 1.5})
    x = sample.input(sample.normal(shape, dtype))
    sample.emit(x, sample.operand(sample.uniform(slope, -0.5, 0.9, dtype), "slope", constant=0.92))


@generator("And", "Or", "Xor", weight=18, precision=Precision.EXACT)
def logic(sample: Sample) -> None:
    """Booleans in every broadcast."""
    left, right = broadcast_pair(sample)
    emit_pair(sample, sample.normal(left, "bool"), sample.normal(right, "bool"))


@generator("BitShift", weight=10, precision=Precision.EXACT)
def bit_shift(sample: Sample) -> None:
    """Shifts that lose no bit."""
    dtype = sample.dtype(_BITS)
    left, right = broadcast_pair(sample)
    values, amount = sample.uniform(left, 0, 15, dtype), sample.uniform(right, 0, 4, dtype)
    emit_pair(sample, values, amount, direction=sample.pick(("LEFT", "RIGHT")))


@generator("BitwiseAnd", "BitwiseOr", "BitwiseXor", weight=8, precision=Precision.EXACT)
def bitwise(sample: Sample) -> None:
    """Masks of small numbers."""
    dtype = sample.dtype(_BITWISE)
    left, right = broadcast_pair(sample)
    emit_pair(sample, sample.uniform(left, 0, 60, dtype), sample.uniform(right, 0, 60, dtype))


@generator("SwiGLU", weight=3, precision=Precision.APPROXIMATE)
def swiglu(sample: Sample) -> None:
    """Gate and value of one shape, both from projections."""
    shape, dtype = sample.shape(2, 3), sample.dtype()
    gate, value = sample.input(sample.normal(shape, dtype), "gate"), sample.input(sample.normal(shape, dtype), "value")
    sample.emit(gate, value, **sample.attributes(0.6, alpha=(1.0, 1.702)))
