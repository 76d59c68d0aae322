"""Convolutions in one to three dimensions, as exporters write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_CONVOLVED = {"float32": 90.0, "float16": 8.0, "float64": 2.0}
_DIMENSIONS = {1: 2.0, 2: 6.0, 3: 1.0}
_KERNELS = {1: 3.0, 2: 1.5, 3: 6.0, 4: 1.0, 5: 1.0, 7: 0.4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window over the spatial dimensions.

    Attributes:
        kernel: Its size.
        attributes: `strides`, `pads`, `dilations`, `auto_pad`; those that are absent are not in it.
        size: A spatial size that it fits in.
    """

    kernel: tuple[int, ...]
    attributes: dict[str, Any]
    size: tuple[int, ...]


def draw_window(sample: Sample, dimensions: int, *, dilated: float = 0.15, stated: float = 0.8) -> Window:
    """A window: square mostly; pads as numbers mostly, `auto_pad` as tf2onnx writes it else.

    Args:
        sample: Source of choices.
        dimensions: Spatial dimensions.
        dilated: How often it is dilated.
        stated: How often strides of one are written.
    """
    first = sample.weighted(_KERNELS)
    square = sample.chance(0.75)
    kernel = tuple(first if square else sample.weighted(_KERNELS) for _ in range(dimensions))
    dilations = [1] * dimensions
    if sample.chance(dilated):
        dilations = [sample.pick((2, 3)) if sample.chance(0.8) else 1 for _ in kernel]
    extent = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    strides = sample.weighted({1: 6.0, 2: 3.0, 3: 0.4})
    attributes: dict[str, Any] = {}
    if strides > 1 or sample.chance(stated):
        uneven = dimensions > 1 and sample.chance(0.1)
        attributes["strides"] = [1 if uneven and axis == 0 else strides for axis in range(dimensions)]
    if max(dilations) > 1 or sample.chance(0.6):
        attributes["dilations"] = dilations
    attributes |= _padding(sample, extent)
    most = {1: 24, 2: 10, 3: 6}[dimensions]
    size = tuple(sample.integer(each, max(most, each + 2)) for each in extent)
    return Window(kernel=kernel, attributes=attributes, size=size)


def _padding(sample: Sample, extent: list[int]) -> dict[str, Any]:
    form = sample.weighted({"same": 4.0, "none": 2.5, "zero": 1.5, "auto": 1.4, "uneven": 0.8})
    half = [each // 2 for each in extent]
    if form == "auto":
        modes = {"SAME_UPPER": 5.0, "SAME_LOWER": 1.5, "VALID": 2.0, "NOTSET": 1.0}
        mode = sample.weighted(modes)
        return {"auto_pad": mode} | ({"pads": half * 2} if mode == "NOTSET" else {})
    if form == "none":
        return {}
    if form == "zero":
        return {"pads": [0] * (2 * len(extent))}
    if form == "uneven":
        return {"pads": [sample.integer(0, each) for each in half * 2]}
    return {"pads": half * 2}


def _channels(sample: Sample) -> tuple[int, int, int]:
    """Channels in, channels out, groups."""
    form = sample.weighted({"dense": 6.0, "depthwise": 2.0, "multiplier": 0.4, "grouped": 1.0})
    if form == "dense":
        return sample.channels(), sample.channels(16), 1
    if form == "depthwise":
        channels = sample.channels(16)
        return channels, channels, channels
    groups = sample.pick((2, 3, 4))
    if form == "multiplier":
        return groups, 2 * groups, groups
    return groups * sample.pick((1, 2, 4)), groups * sample.pick((1, 2, 3)), groups


@generator("Conv", weight=150, precision=Precision.ACCUMULATED)
def conv(sample: Sample) -> None:
    """Weights constant mostly, bias or not, dense, grouped and depthwise; now and then an Add behind it."""
    dtype = sample.dtype(_CONVOLVED)
    window = draw_window(sample, sample.weighted(_DIMENSIONS))
    into, out, groups = _channels(sample)
    attributes = window.attributes
    if groups > 1 or sample.chance(0.7):
        attributes["group"] = groups
    if sample.chance(0.9):
        attributes["kernel_shape"] = window.kernel
    x = sample.input(sample.normal((sample.batch(), into, *window.size), dtype))
    weight = sample.normal((out, into // groups, *window.kernel), dtype, 0.5)
    inputs = [x, sample.parameter(weight, "weight")]
    if sample.chance(0.6):
        inputs.append(sample.parameter(sample.normal((out,), dtype), "bias"))
    (y,) = sample.emit(*inputs, **attributes)
    if len(inputs) == 2 and sample.chance(0.2):  # noqa: PLR2004 - no bias yet
        _add(sample, y, out, len(window.kernel), dtype)


def _add(sample: Sample, y: str, out: int, dimensions: int, dtype: np.dtype[Any]) -> None:
    """A bias as its own node `[1, C, 1, 1]` or `[C, 1, 1]`, or a scalar."""
    ones = (1,) * dimensions
    form = sample.weighted({(1, out, *ones): 5.0, (out, *ones): 3.0, (): 1.0, (1,): 1.0})
    sample.node("Add", [y, sample.constant(sample.normal(form, dtype), "bias")])


@generator("ConvTranspose", weight=90, precision=Precision.ACCUMULATED)
def conv_transpose(sample: Sample) -> None:
    """Up-sampling by two mostly; `output_padding`, groups, `output_shape` and `auto_pad` now and then."""
    dtype = sample.dtype(_CONVOLVED)
    dimensions = sample.weighted(_DIMENSIONS)
    kernel = [sample.weighted({2: 3.0, 3: 3.0, 4: 4.0, 1: 0.5, 5: 0.5})] * dimensions
    strides = [sample.weighted({1: 1.5, 2: 6.0, 3: 0.5})] * dimensions
    groups = sample.weighted({1: 8.0, 2: 1.0, 3: 0.5})
    into, out = groups * sample.pick((1, 2, 3, 4, 8)), sample.pick((1, 2, 3, 4, 5, 8))
    if sample.chance(0.12):
        groups, out = into, 1
    size = tuple(sample.integer(2, {1: 10, 2: 6, 3: 4}[dimensions]) for _ in kernel)
    attributes = _transposed_padding(sample, kernel, strides, size)
    if strides[0] > 1 or sample.chance(0.7):
        attributes["strides"] = strides
    if groups > 1 or sample.chance(0.7):
        attributes["group"] = groups
    attributes |= sample.attributes(0.4, dilations=([1] * dimensions,)) | sample.attributes(0.1, kernel_shape=(kernel,))
    x = sample.input(sample.normal((sample.batch(), into, *size), dtype))
    inputs = [x, sample.parameter(sample.normal((into, out, *kernel), dtype, 0.5), "weight")]
    if sample.chance(0.6):
        inputs.append(sample.parameter(sample.normal((out * groups,), dtype), "bias"))
    sample.emit(*inputs, **attributes)


def _transposed_padding(sample: Sample, kernel: list[int], strides: list[int], size: tuple[int, ...]) -> dict[str, Any]:
    form = sample.weighted({"pads": 6.0, "none": 2.5, "auto": 0.8, "output_shape": 0.5})
    if form == "auto":
        return {"auto_pad": sample.pick(("SAME_UPPER", "SAME_UPPER", "SAME_LOWER", "VALID"))}
    if form == "output_shape":
        return {"output_shape": [each * stride for each, stride in zip(size, strides, strict=True)]}
    if form == "none":
        return {}
    pad = sample.integer(0, (kernel[0] - 1) // 2)
    found: dict[str, Any] = {"pads": [pad] * (2 * len(kernel))}
    if sample.chance(0.5):
        extra = sample.integer(0, strides[0] - 1) if sample.chance(0.6) else 0
        found["output_padding"] = [extra] * len(kernel)
    return found


@generator("ConvInteger", weight=4, precision=Precision.EXACT)
def conv_integer(sample: Sample) -> None:
    """Dynamic quantisation's convolution: uint8 activations, zero points or none."""
    into, out = sample.channels(8), sample.channels(8)
    x = sample.input(sample.uniform((1, into, 6, 6), 0, 255, "uint8"))
    inputs = [x, sample.initializer(sample.uniform((out, into, 3, 3), 0, 255, "uint8"))]
    if sample.chance(0.7):
        inputs.append(sample.operand(np.array(sample.integer(0, 200), np.uint8), "x_zero_point", constant=0.5))
        inputs.append(sample.initializer(np.array(sample.integer(0, 200), np.uint8), "w_zero_point"))
    sample.emit(*inputs, **sample.attributes(pads=([1, 1, 1, 1], [0, 0, 0, 0]), strides=([1, 1], [2, 2])))
