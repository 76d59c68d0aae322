"""Quantisation: Q and DQ alone, in pairs as quantised models hold them, and the integer products."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_SCALES = (0.02, 0.0078125, 0.05, 0.1)
_KINDS = {"uint8": 5.0, "int8": 5.0}
_PER_AXIS = 13


def _grid(sample: Sample, shape: tuple[int, ...], scale: float, low: int, high: int) -> np.ndarray:
    """Values near the middle of quantisation steps: what they round to is certain."""
    steps = sample.random.integers(low, high + 1, shape)
    return np.asarray((steps + sample.random.uniform(-0.4, 0.4, shape)) * scale).astype(np.float32)


def _zero_point(sample: Sample, kind: str, shape: tuple[int, ...] = ()) -> np.ndarray:
    if kind == "int8":
        return np.zeros(shape, np.int8) if sample.chance(0.7) else sample.uniform(shape, -10, 10, kind)
    return np.full(shape, 128, np.uint8) if sample.chance(0.6) else sample.uniform(shape, 0, 255, kind)


@generator("QuantizeLinear", weight=36, precision=Precision.EXACT)
def quantize(sample: Sample) -> None:
    """Activations with a scalar scale, weights a channel; followed by DequantizeLinear in most models."""
    shape = sample.shape(1, 4)
    kind = sample.weighted(_KINDS)
    per_axis = len(shape) > 1 and sample.version >= _PER_AXIS and sample.chance(0.25)
    axis = sample.pick((0, 1)) if per_axis else 1
    scale = sample.pick(_SCALES)
    x = sample.input(_grid(sample, shape, scale, -100 if kind == "int8" else -90, 120))
    sizes = (shape[axis],) if per_axis else ()
    scales = np.full(sizes, scale, np.float32)
    operands = [sample.operand(scales, "scale", constant=0.93)]
    has_zero = not sample.chance(0.1)
    zero = _zero_point(sample, kind, sizes)
    if has_zero:
        operands.append(sample.operand(zero, "zero_point", constant=0.93))
    attributes = {"axis": axis} if per_axis else {}
    (y,) = sample.emit(x, *operands, **attributes)
    if sample.chance(0.6):
        sample.node("DequantizeLinear", [y, *operands], **attributes)


@generator("DequantizeLinear", weight=40, precision=Precision.ARITHMETIC)
def dequantize(sample: Sample) -> None:
    """Of a constant weight in front of Conv or MatMul, of an activation, of a bias in int32."""
    form = sample.weighted({"activation": 4.0, "conv": 2.5, "linear": 2.5, "bias": 1.0})
    if form in {"conv", "linear"}:
        _weight(sample, form)
        return
    kind = sample.weighted(_KINDS) if form == "activation" else "int32"
    shape = sample.shape(1, 4)
    values = sample.uniform(shape, -120, 120, kind) if kind != "uint8" else sample.uniform(shape, 0, 255, kind)
    operands = [sample.constant(np.array(sample.pick(_SCALES), np.float32), "scale")]
    if kind != "int32" and sample.chance(0.85):
        operands.append(sample.constant(_zero_point(sample, kind), "zero_point"))
    sample.emit(sample.input(values), *operands)


def _weight(sample: Sample, form: str) -> None:
    into, out = sample.channels(8), sample.channels(8)
    image = form == "conv"
    shape = (out, into, 3, 3) if image else (into, out)
    kind = sample.weighted({"int8": 8.0, "uint8": 2.0})
    axis = 0 if image else 1
    per_axis = sample.version >= _PER_AXIS and sample.chance(0.5)
    sizes = (out,) if per_axis else ()
    weight = sample.initializer(sample.uniform(shape, 0 if kind == "uint8" else -127, 127, kind))
    operands = [weight, sample.initializer(sample.uniform(sizes, 0.005, 0.05), "scale")]
    operands.append(sample.initializer(_zero_point(sample, kind, sizes), "zero_point"))
    (real,) = sample.emit(*operands, axis=axis if per_axis else None)
    if image:
        x = sample.input(sample.normal((sample.batch(), into, 6, 6)))
        sample.node("Conv", [x, real], pads=sample.pick(([1, 1, 1, 1], None)))
    else:
        sample.node("MatMul", [sample.input(sample.normal((sample.batch(), into))), real])


@generator("DynamicQuantizeLinear", weight=10, precision=Precision.ARITHMETIC)
def dynamic_quantize(sample: Sample) -> None:
    """Scale and zero point from the values."""
    low, high = sample.weighted({(-2.0, 3.0): 5.0, (0.0, 4.0): 2.0, (-3.0, -0.5): 1.0})
    values = sample.uniform(sample.shape(1, 3), low, high)
    sample.emit(sample.input(values), outputs=["y", "y_scale", "y_zero_point"])


def _quantized(sample: Sample, stem: str, values: np.ndarray, scale: float, *, constant: bool) -> list[str]:
    middle = 128 if values.dtype == np.uint8 else 0
    name = sample.initializer(values, stem) if constant else sample.input(values, stem)
    made: list[Any] = [np.array(scale, np.float32), np.array(middle, values.dtype)]
    return [name, sample.initializer(made[0], f"{stem}_scale"), sample.initializer(made[1], f"{stem}_zero_point")]


@generator("QLinearMatMul", weight=4, precision=Precision.EXACT)
def qlinear_matmul(sample: Sample) -> None:
    """uint8 by uint8 into uint8."""
    m, k, n = sample.dim(), sample.dim(), sample.dim()
    inputs = _quantized(sample, "a", sample.uniform((m, k), 0, 255, "uint8"), 0.02, constant=False)
    inputs += _quantized(sample, "b", sample.uniform((k, n), 0, 255, "uint8"), 0.013, constant=True)
    inputs += [sample.initializer(np.array(0.097, np.float32)), sample.initializer(np.array(128, np.uint8))]
    sample.emit(*inputs)


@generator("QLinearConv", weight=4, precision=Precision.EXACT)
def qlinear_conv(sample: Sample) -> None:
    """uint8 activations, int8 weights, an int32 bias."""
    into, out = sample.channels(8), sample.channels(8)
    inputs = _quantized(sample, "x", sample.uniform((1, into, 6, 6), 0, 255, "uint8"), 0.02, constant=False)
    inputs += _quantized(sample, "w", sample.uniform((out, into, 3, 3), -127, 127, "int8"), 0.0131, constant=True)
    inputs += [sample.initializer(np.array(0.0971, np.float32)), sample.initializer(np.array(128, np.uint8))]
    if sample.chance(0.6):
        inputs.append(sample.initializer(sample.uniform((out,), -500, 500, "int32"), "bias"))
    sample.emit(*inputs, **sample.attributes(pads=([1, 1, 1, 1], [0, 0, 0, 0]), kernel_shape=([3, 3],)))
