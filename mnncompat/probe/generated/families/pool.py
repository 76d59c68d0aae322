"""Pooling."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.families.convolution import draw_window
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import FLOATS, Sample

_DIMENSIONS = {1: 1.5, 2: 6.5, 3: 1.2}


@generator("MaxPool", weight=100, precision=Precision.EXACT)
@generator("AveragePool", weight=90, precision=Precision.ARITHMETIC)
@generator("LpPool", weight=20, precision=Precision.ARITHMETIC)
def pool(sample: Sample) -> None:
    """Windows with every padding; `ceil_mode`, `count_include_pad`, dilations, Indices where the version has them."""
    dtype = sample.dtype({**FLOATS, "uint8": 0.5, "int8": 0.3} if sample.op == "MaxPool" else FLOATS)
    dimensions = sample.weighted(_DIMENSIONS)
    window = draw_window(sample, dimensions, dilated=0.08, stated=0.9)
    attributes = {"kernel_shape": window.kernel} | window.attributes
    attributes |= sample.attributes(ceil_mode=(0, 1, 0), count_include_pad=(0, 1), storage_order=(0,), p=(1, 2, 2))
    dilations = attributes.pop("dilations", None)
    if _can_dilate(sample) and dilations is not None and (max(dilations) > 1 or sample.chance(0.3)):
        attributes["dilations"] = dilations
    shape = (sample.batch(), sample.channels(16), *window.size)
    values = sample.distinct(shape, dtype) if sample.op == "MaxPool" else sample.normal(shape, dtype)
    wants_indices = sample.op == "MaxPool" and sample.version >= 8 and sample.chance(0.12)  # noqa: PLR2004 - Indices since 8
    sample.emit(sample.input(values), outputs=["y", "indices"] if wants_indices else ["y"], **attributes)


def _can_dilate(sample: Sample) -> bool:
    since = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}
    return sample.opset >= since[sample.op]


@generator("GlobalAveragePool", weight=20, precision=Precision.ARITHMETIC)
@generator("GlobalMaxPool", weight=16, precision=Precision.EXACT)
@generator("GlobalLpPool", weight=10, precision=Precision.ARITHMETIC)
def global_pool(sample: Sample) -> None:
    """Images mostly, sequences and volumes too."""
    shape = (sample.batch(), sample.channels(), *(sample.dim(2, 8) for _ in range(sample.weighted(_DIMENSIONS))))
    sample.emit(sample.input(sample.normal(shape, sample.dtype())), **sample.attributes(p=(1, 2)))


@generator("MaxUnpool", weight=8, precision=Precision.EXACT)
def unpool(sample: Sample) -> None:
    """Undoes a 2 x 2 max pooling; the indices a constant or a runtime value, `output_shape` or none."""
    channels, height, width = sample.channels(8), sample.dim(1, 4), sample.dim(1, 4)
    rows, columns = np.meshgrid(np.arange(height) * 2, np.arange(width) * 2, indexing="ij")
    offsets = sample.uniform((1, channels, height, width), 0, 1, "int64")
    plane = np.arange(channels)[None, :, None, None] * (4 * height * width)
    indices = plane + (rows + offsets) * (2 * width) + columns
    x = sample.input(sample.normal((1, channels, height, width)))
    inputs = [x, sample.operand(indices.astype(np.int64), "indices", constant=0.3)]
    if sample.chance(0.3):
        inputs.append(sample.integers([1, channels, 2 * height, 2 * width], "output_shape"))
    sample.emit(*inputs, kernel_shape=[2, 2], strides=[2, 2])
