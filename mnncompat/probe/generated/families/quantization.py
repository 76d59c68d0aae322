"""Quantisation: Q and DQ alone, in pairs as quantised models hold them, and the integer products."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_SCALES = (0.02, 0.0078125, 0.05, 0.1)
_KINDS = {"uint8": 5.0, "int8": 5.0}
_PER_AXIS = 13


def _grid(draw: Draw, shape: tuple[int, ...], scale: float, low: int, high: int) -> np.ndarray:
    """Values near the middle of quantisation steps: what they round to is certain."""
    steps = draw.random.integers(low, high + 1, shape)
    return np.asarray((steps + draw.random.uniform(-0.4, 0.4, shape)) * scale).astype(np.float32)


def _zero_point(draw: Draw, kind: str, shape: tuple[int, ...] = ()) -> np.ndarray:
    if kind == "int8":
        return np.zeros(shape, np.int8) if draw.chance(0.7) else draw.uniform(shape, -10, 10, kind)
    return np.full(shape, 128, np.uint8) if draw.chance(0.6) else draw.uniform(shape, 0, 255, kind)


@generator("QuantizeLinear", weight=36, precision=Precision.EXACT)
def quantize(draw: Draw) -> None:
    """Activations with a scalar scale, weights a channel; followed by DequantizeLinear in most models."""
    shape = draw.shape(1, 4)
    kind = draw.weighted(_KINDS)
    per_axis = len(shape) > 1 and draw.version >= _PER_AXIS and draw.chance(0.25)
    axis = draw.pick((0, 1)) if per_axis else 1
    scale = draw.pick(_SCALES)
    x = draw.input(_grid(draw, shape, scale, -100 if kind == "int8" else -90, 120))
    sizes = (shape[axis],) if per_axis else ()
    scales = np.full(sizes, scale, np.float32)
    operands = [draw.operand(scales, "scale", constant=0.93)]
    has_zero = not draw.chance(0.1)
    zero = _zero_point(draw, kind, sizes)
    if has_zero:
        operands.append(draw.operand(zero, "zero_point", constant=0.93))
    attributes = {"axis": axis} if per_axis else {}
    (y,) = draw.emit(x, *operands, **attributes)
    if draw.chance(0.6):
        draw.node("DequantizeLinear", [y, *operands], **attributes)


@generator("DequantizeLinear", weight=40, precision=Precision.ARITHMETIC)
def dequantize(draw: Draw) -> None:
    """Of a constant weight in front of Conv or MatMul, of an activation, of a bias in int32."""
    form = draw.weighted({"activation": 4.0, "conv": 2.5, "linear": 2.5, "bias": 1.0})
    if form in {"conv", "linear"}:
        _weight(draw, form)
        return
    kind = draw.weighted(_KINDS) if form == "activation" else "int32"
    shape = draw.shape(1, 4)
    values = draw.uniform(shape, -120, 120, kind) if kind != "uint8" else draw.uniform(shape, 0, 255, kind)
    operands = [draw.constant(np.array(draw.pick(_SCALES), np.float32), "scale")]
    if kind != "int32" and draw.chance(0.85):
        operands.append(draw.constant(_zero_point(draw, kind), "zero_point"))
    draw.emit(draw.input(values), *operands)


def _weight(draw: Draw, form: str) -> None:
    into, out = draw.channels(8), draw.channels(8)
    image = form == "conv"
    shape = (out, into, 3, 3) if image else (into, out)
    kind = draw.weighted({"int8": 8.0, "uint8": 2.0})
    axis = 0 if image else 1
    per_axis = draw.version >= _PER_AXIS and draw.chance(0.5)
    sizes = (out,) if per_axis else ()
    weight = draw.initializer(draw.uniform(shape, 0 if kind == "uint8" else -127, 127, kind))
    operands = [weight, draw.initializer(draw.uniform(sizes, 0.005, 0.05), "scale")]
    operands.append(draw.initializer(_zero_point(draw, kind, sizes), "zero_point"))
    (real,) = draw.emit(*operands, axis=axis if per_axis else None)
    if image:
        x = draw.input(draw.normal((draw.batch(), into, 6, 6)))
        draw.node("Conv", [x, real], pads=draw.pick(([1, 1, 1, 1], None)))
    else:
        draw.node("MatMul", [draw.input(draw.normal((draw.batch(), into))), real])


@generator("DynamicQuantizeLinear", weight=10, precision=Precision.ARITHMETIC)
def dynamic_quantize(draw: Draw) -> None:
    """Scale and zero point from the values."""
    low, high = draw.weighted({(-2.0, 3.0): 5.0, (0.0, 4.0): 2.0, (-3.0, -0.5): 1.0})
    values = draw.uniform(draw.shape(1, 3), low, high)
    draw.emit(draw.input(values), outputs=["y", "y_scale", "y_zero_point"])


def _quantized(draw: Draw, stem: str, values: np.ndarray, scale: float, *, constant: bool) -> list[str]:
    middle = 128 if values.dtype == np.uint8 else 0
    name = draw.initializer(values, stem) if constant else draw.input(values, stem)
    made: list[Any] = [np.array(scale, np.float32), np.array(middle, values.dtype)]
    return [name, draw.initializer(made[0], f"{stem}_scale"), draw.initializer(made[1], f"{stem}_zero_point")]


@generator("QLinearMatMul", weight=4, precision=Precision.EXACT)
def qlinear_matmul(draw: Draw) -> None:
    """uint8 by uint8 into uint8."""
    m, k, n = draw.dim(), draw.dim(), draw.dim()
    inputs = _quantized(draw, "a", draw.uniform((m, k), 0, 255, "uint8"), 0.02, constant=False)
    inputs += _quantized(draw, "b", draw.uniform((k, n), 0, 255, "uint8"), 0.013, constant=True)
    inputs += [draw.initializer(np.array(0.097, np.float32)), draw.initializer(np.array(128, np.uint8))]
    draw.emit(*inputs)


@generator("QLinearConv", weight=4, precision=Precision.EXACT)
def qlinear_conv(draw: Draw) -> None:
    """uint8 activations, int8 weights, an int32 bias."""
    into, out = draw.channels(8), draw.channels(8)
    inputs = _quantized(draw, "x", draw.uniform((1, into, 6, 6), 0, 255, "uint8"), 0.02, constant=False)
    inputs += _quantized(draw, "w", draw.uniform((out, into, 3, 3), -127, 127, "int8"), 0.0131, constant=True)
    inputs += [draw.initializer(np.array(0.0971, np.float32)), draw.initializer(np.array(128, np.uint8))]
    if draw.chance(0.6):
        inputs.append(draw.initializer(draw.uniform((out,), -500, 500, "int32"), "bias"))
    draw.emit(*inputs, **draw.attributes(pads=([1, 1, 1, 1], [0, 0, 0, 0]), kernel_shape=([3, 3],)))
