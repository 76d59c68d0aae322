"""Pooling."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import FLOATS, Draw
from mnncompat.probe.generated.families.convolution import draw_window
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_DIMENSIONS = {1: 1.5, 2: 6.5, 3: 1.2}


@generator("MaxPool", weight=100, precision=Precision.EXACT)
@generator("AveragePool", weight=90, precision=Precision.ARITHMETIC)
@generator("LpPool", weight=20, precision=Precision.ARITHMETIC)
def pool(draw: Draw) -> None:
    """Windows with every padding; `ceil_mode`, `count_include_pad`, dilations, Indices where the version has them."""
    dtype = draw.dtype({**FLOATS, "uint8": 0.5, "int8": 0.3} if draw.op == "MaxPool" else FLOATS)
    dimensions = draw.weighted(_DIMENSIONS)
    window = draw_window(draw, dimensions, dilated=0.08, stated=0.9)
    attributes = {"kernel_shape": window.kernel} | window.attributes
    attributes |= draw.attributes(ceil_mode=(0, 1, 0), count_include_pad=(0, 1), storage_order=(0,), p=(1, 2, 2))
    dilations = attributes.pop("dilations", None)
    if _can_dilate(draw) and dilations is not None and (max(dilations) > 1 or draw.chance(0.3)):
        attributes["dilations"] = dilations
    shape = (draw.batch(), draw.channels(16), *window.size)
    values = draw.distinct(shape, dtype) if draw.op == "MaxPool" else draw.normal(shape, dtype)
    wants_indices = draw.op == "MaxPool" and draw.version >= 8 and draw.chance(0.12)  # noqa: PLR2004 - Indices since 8
    draw.emit(draw.input(values), outputs=["y", "indices"] if wants_indices else ["y"], **attributes)


def _can_dilate(draw: Draw) -> bool:
    since = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}
    return draw.opset >= since[draw.op]


@generator("GlobalAveragePool", weight=20, precision=Precision.ARITHMETIC)
@generator("GlobalMaxPool", weight=16, precision=Precision.EXACT)
@generator("GlobalLpPool", weight=10, precision=Precision.ARITHMETIC)
def global_pool(draw: Draw) -> None:
    """Images mostly, sequences and volumes too."""
    shape = (draw.batch(), draw.channels(), *(draw.dim(2, 8) for _ in range(draw.weighted(_DIMENSIONS))))
    draw.emit(draw.input(draw.normal(shape, draw.dtype())), **draw.attributes(p=(1, 2)))


@generator("MaxUnpool", weight=8, precision=Precision.EXACT)
def unpool(draw: Draw) -> None:
    """Undoes a 2 x 2 max pooling; the indices a constant or a runtime value, `output_shape` or none."""
    channels, height, width = draw.channels(8), draw.dim(1, 4), draw.dim(1, 4)
    rows, columns = np.meshgrid(np.arange(height) * 2, np.arange(width) * 2, indexing="ij")
    offsets = draw.uniform((1, channels, height, width), 0, 1, "int64")
    plane = np.arange(channels)[None, :, None, None] * (4 * height * width)
    indices = plane + (rows + offsets) * (2 * width) + columns
    x = draw.input(draw.normal((1, channels, height, width)))
    inputs = [x, draw.operand(indices.astype(np.int64), "indices", constant=0.3)]
    if draw.chance(0.3):
        inputs.append(draw.integers([1, channels, 2 * height, 2 * width], "output_shape"))
    draw.emit(*inputs, kernel_shape=[2, 2], strides=[2, 2])
