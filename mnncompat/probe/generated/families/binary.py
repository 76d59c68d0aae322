"""Operators of two or more tensors, element by element, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import FLOATS, NUMBERS, Draw
from mnncompat.probe.generated.families.broadcast import broadcast_pair
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_CONSTANT_RIGHT, _CONSTANT_LEFT = 0.5, 0.14
_BITS = {"uint8": 1.0, "uint32": 1.0, "uint64": 0.3}
_BITWISE = {"int32": 3.0, "int64": 3.0, "uint8": 1.0}
_VARIADIC_BROADCASTS = 8


def emit_pair(draw: Draw, left: np.ndarray, right: np.ndarray, **attributes: Any) -> None:
    """Add the node with either operand constant, or none."""
    where = draw.weighted({"right": _CONSTANT_RIGHT, "left": _CONSTANT_LEFT, "none": 0.36})
    names = [
        draw.constant(values, "b") if where == side else draw.input(values, stem)
        for values, side, stem in ((left, "left", "a"), (right, "right", "b"))
    ]
    draw.emit(*names, **attributes)


@generator("Add", "Sub", "Mul", weight=60)
def arithmetic(draw: Draw) -> None:
    """Sums, differences and products in every broadcast."""
    dtype = draw.dtype(NUMBERS)
    left, right = broadcast_pair(draw)
    emit_pair(draw, draw.normal(left, dtype), draw.normal(right, dtype))


@generator("Div", weight=60)
def division(draw: Draw) -> None:
    """Divisors are not zero; integers of both signs."""
    dtype = draw.dtype(NUMBERS)
    left, right = broadcast_pair(draw)
    divisor = draw.uniform(right, 0.5 if dtype.kind == "f" else 1, 5, dtype)
    if dtype.kind != "u" and draw.chance(0.4):
        divisor = divisor * np.where(draw.random.random(right) < 0.5, -1, 1).astype(dtype)  # noqa: PLR2004
    emit_pair(draw, draw.normal(left, dtype, 3.0), divisor)


@generator("Pow", weight=40, precision=Precision.APPROXIMATE)
def power(draw: Draw) -> None:
    """Squares, roots and cubes by a constant; now and then an exponent a tensor."""
    dtype = draw.dtype({"float32": 85.0, "float16": 8.0, "int32": 3.0, "int64": 3.0, "float64": 1.0})
    if draw.chance(0.75):
        exponent = draw.weighted({2.0: 6.0, 0.5: 2.0, 3.0: 3.0, -1.0: 1.0, 1.5: 0.5, 4.0: 0.5})
        if dtype.kind == "i":
            exponent = abs(float(round(exponent)))
        low = -3.0 if exponent in {2.0, 3.0, 4.0} else 0.3
        base = draw.uniform(draw.shape(), low, 3.0, dtype)
        kind = np.dtype(np.float32) if draw.version >= 12 and draw.chance(0.05) else dtype  # noqa: PLR2004
        scalar = np.array(exponent if draw.chance(0.8) else [exponent], kind)
        draw.emit(draw.input(base, "a"), draw.operand(scalar, "exponent", constant=0.95))
        return
    left, right = broadcast_pair(draw)
    low = 1 if dtype.kind == "i" else 0.3
    emit_pair(draw, draw.uniform(left, low, 3.0, dtype), draw.uniform(right, 0, 3, dtype))


@generator("Mod", weight=40)
def modulo(draw: Draw) -> None:
    """`fmod` is required for floating-point numbers; negative dividends and divisors for integers."""
    dtype = draw.dtype({"int64": 6.0, "int32": 4.0, "float32": 4.0, "float16": 0.5, "uint8": 0.3})
    left, right = broadcast_pair(draw)
    fmod = 1 if dtype.kind == "f" else draw.pick((None, None, 0, 1))
    dividend, divisor = draw.normal(left, dtype, 5.0), draw.uniform(right, 1, 5, dtype)
    if dtype.kind != "u" and draw.chance(0.3):
        divisor = divisor * np.where(draw.random.random(right) < 0.5, -1, 1).astype(dtype)  # noqa: PLR2004
    emit_pair(draw, dividend, divisor, fmod=fmod)


@generator("Max", "Min", "Sum", "Mean", weight=40)
def variadic(draw: Draw) -> None:
    """Two operands mostly, also one, three and four; broadcast from opset 8 on."""
    dtype = draw.dtype(NUMBERS if draw.op in {"Max", "Min"} else FLOATS)
    count = draw.weighted({2: 7.0, 3: 2.0, 1: 0.6, 4: 0.6})
    left, right = broadcast_pair(draw) if draw.version >= _VARIADIC_BROADCASTS else (draw.shape(),) * 2
    if count == 2:  # noqa: PLR2004 - a pair
        emit_pair(draw, draw.normal(left, dtype), draw.normal(right, dtype))
        return
    shapes = [left, right, left, right if draw.chance(0.3) else left][:count]
    names = [draw.input(draw.normal(shapes[0], dtype), "a")]
    names += [draw.operand(draw.normal(shape, dtype), "b", constant=0.3) for shape in shapes[1:]]
    draw.emit(*names)


@generator("PRelu", weight=40)
def prelu(draw: Draw) -> None:
    """A slope a channel `[C, 1, 1]` as PyTorch writes it, one for all, a full tensor, and other broadcasts."""
    dtype = draw.dtype()
    shape = draw.shape(2, 4)
    channel = (shape[1],) + (1,) * (len(shape) - 2)
    slope = draw.weighted({channel: 6.0, (1,): 3.0, shape[1:]: 1.5, (shape[-1],): 1.0, (1, *channel): 1.5})
    x = draw.input(draw.normal(shape, dtype))
    draw.emit(x, draw.operand(draw.uniform(slope, -0.5, 0.9, dtype), "slope", constant=0.92))


@generator("And", "Or", "Xor", weight=18, precision=Precision.EXACT)
def logic(draw: Draw) -> None:
    """Booleans in every broadcast."""
    left, right = broadcast_pair(draw)
    emit_pair(draw, draw.normal(left, "bool"), draw.normal(right, "bool"))


@generator("BitShift", weight=10, precision=Precision.EXACT)
def bit_shift(draw: Draw) -> None:
    """Shifts that lose no bit."""
    dtype = draw.dtype(_BITS)
    left, right = broadcast_pair(draw)
    values, amount = draw.uniform(left, 0, 15, dtype), draw.uniform(right, 0, 4, dtype)
    emit_pair(draw, values, amount, direction=draw.pick(("LEFT", "RIGHT")))


@generator("BitwiseAnd", "BitwiseOr", "BitwiseXor", weight=8, precision=Precision.EXACT)
def bitwise(draw: Draw) -> None:
    """Masks of small numbers."""
    dtype = draw.dtype(_BITWISE)
    left, right = broadcast_pair(draw)
    emit_pair(draw, draw.uniform(left, 0, 60, dtype), draw.uniform(right, 0, 60, dtype))


@generator("SwiGLU", weight=3, precision=Precision.APPROXIMATE)
def swiglu(draw: Draw) -> None:
    """Gate and value of one shape, both from projections."""
    shape, dtype = draw.shape(2, 3), draw.dtype()
    gate, value = draw.input(draw.normal(shape, dtype), "gate"), draw.input(draw.normal(shape, dtype), "value")
    draw.emit(gate, value, **draw.attributes(0.6, alpha=(1.0, 1.702)))
