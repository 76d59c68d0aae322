"""Detection and sampling: NonMaxSuppression, RoiAlign, MaxRoiPool, GridSample, AffineGrid, DeformConv, Col2Im."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_BATCHED = 3


@generator("NonMaxSuppression", weight=30, precision=Precision.EXACT)
def suppress(draw: Draw) -> None:
    """One image and a class or several; thresholds constant; scores well apart; boxes on a grid with overlaps."""
    boxes_count, classes = draw.integer(4, 10), draw.integer(1, 3)
    corners = draw.uniform((1, boxes_count, 2), 0, 5, "int64").astype(np.float32)
    extent = draw.uniform((1, boxes_count, 2), 1, 3, "int64").astype(np.float32) + np.float32(0.25)
    centred = draw.chance(0.15)
    boxes = np.concatenate([corners, extent] if centred else [corners, corners + extent], axis=-1)
    apart = 0.01 * np.arange(boxes_count)
    scores = (np.abs(draw.distinct((1, classes, boxes_count))) + apart).astype(np.float32)
    inputs = [draw.input(boxes, "boxes"), draw.input(scores, "scores")]
    thresholds = [
        np.array(draw.pick(([3], [10], 100))),
        np.array([draw.pick((0.45, 0.51, 0.7))], np.float32),
        np.array([draw.pick((0.0, 0.105, 0.255))], np.float32),
    ]
    given = thresholds[: draw.weighted({3: 7.0, 2: 2.0, 1: 0.5})]
    inputs += [draw.operand(values, "limit", constant=0.95) for values in given]
    attributes = {"center_point_box": 1} if centred else draw.attributes(0.6, center_point_box=(0,))
    draw.emit(*inputs, **attributes)


def _rois(draw: Draw, count: int, size: int) -> np.ndarray:
    corners = draw.uniform((count, 2), 0, size / 2)
    return np.concatenate([corners, corners + draw.uniform((count, 2), 1, size / 2)], axis=-1).astype(np.float32)


@generator("RoiAlign", weight=22, precision=Precision.ARITHMETIC)
def roi_align(draw: Draw) -> None:
    """Pooled sizes of 2 to 7, strides of 1, 4 and 16, averages mostly."""
    size, count, batch = draw.integer(6, 10), draw.integer(1, 4), draw.batch()
    stride = draw.pick((1, 1, 4, 16))
    x = draw.input(draw.normal((batch, draw.channels(8), size, size)))
    rois = draw.input((_rois(draw, count, size) * np.float32(stride)).astype(np.float32), "rois")
    indices = draw.operand(draw.uniform((count,), 0, batch - 1, "int64"), "batch_indices", constant=0.4)
    pooled = draw.pick((2, 3, 7))
    attributes: dict[str, Any] = {"output_height": pooled, "output_width": pooled, "spatial_scale": 1.0 / stride}
    modes = ("output_half_pixel", "half_pixel")
    attributes |= draw.attributes(coordinate_transformation_mode=modes, mode=("avg",))
    attributes |= draw.attributes(0.2, sampling_ratio=(2, 2, 1, 0))
    if draw.chance(0.08):  # ONNX Runtime is wrong about maxima of several samples
        attributes |= {"mode": "max", "sampling_ratio": 1}
    draw.emit(x, rois, indices, **attributes)


@generator("MaxRoiPool", weight=10, precision=Precision.EXACT)
def roi_pool(draw: Draw) -> None:
    """Regions with their batch index in front, whole numbers."""
    size, count = draw.integer(6, 10), draw.integer(1, 4)
    x = draw.input(draw.distinct((1, draw.channels(8), size, size)))
    rois = np.concatenate([np.zeros((count, 1), np.float32), np.rint(_rois(draw, count, size))], axis=-1)
    pooled = draw.pick((2, 3))
    scale = draw.attributes(0.5, spatial_scale=(1.0, 0.5))
    draw.emit(x, draw.input(rois, "rois"), pooled_shape=[pooled, pooled], **scale)


@generator("GridSample", weight=60, precision=Precision.ARITHMETIC)
def grid_sample(draw: Draw) -> None:
    """Images; grids inside and a little beyond; each mode, padding and alignment; volumes from opset 20 on."""
    modes = ("linear", "nearest", "cubic") if draw.version >= 20 else ("bilinear", "nearest", "bicubic")  # noqa: PLR2004
    mode = draw.weighted({None: 1.5, modes[0]: 5.0, modes[1]: 2.0, modes[2]: 0.7})
    dimensions = 3 if draw.version >= 20 and mode in {None, modes[0], modes[1]} and draw.chance(0.15) else 2  # noqa: PLR2004
    batch = draw.batch()
    x = draw.normal((batch, draw.channels(8), *(draw.dim(3, 8) for _ in range(dimensions))))
    attributes = draw.attributes(0.25, padding_mode=("zeros", "zeros", "border", "reflection"), align_corners=(0, 1))
    beyond = attributes.get("padding_mode") in {"border", "reflection"} or draw.chance(0.3)
    reach = 1.3 if beyond else 0.95
    grid = draw.uniform((batch, *(draw.dim(2, 6) for _ in range(dimensions)), dimensions), -reach, reach)
    if mode == modes[1]:
        grid = _between_pixels(draw, grid, x.shape, aligned=attributes.get("align_corners") == 1)
    draw.emit(draw.input(x), draw.input(grid, "grid"), mode=mode, **attributes)


def _between_pixels(draw: Draw, grid: np.ndarray, shape: tuple[int, ...], *, aligned: bool) -> np.ndarray:
    """Points off the middle between two pixels, where the nearest one is a matter of rounding."""
    sizes = np.array(shape[:1:-1], np.float64)
    pixels = (grid + 1) / 2 * (sizes - 1) if aligned else ((grid + 1) * sizes - 1) / 2
    pixels = np.rint(pixels) + draw.random.uniform(-0.4, 0.4, grid.shape)
    found = pixels / np.maximum(sizes - 1, 1) * 2 - 1 if aligned else (2 * pixels + 1) / sizes - 1
    return np.asarray(found).astype(np.float32)


@generator("AffineGrid", weight=4, precision=Precision.ARITHMETIC)
def affine_grid(draw: Draw) -> None:
    """Grids of images."""
    batch = draw.batch()
    size = draw.integers([batch, draw.channels(8), draw.dim(2, 6), draw.dim(2, 6)], "size")
    draw.emit(draw.input(draw.normal((batch, 2, 3)), "theta"), size, **draw.attributes(align_corners=(0, 1)))


@generator("DeformConv", weight=4, precision=Precision.ACCUMULATED)
def deform_conv(draw: Draw) -> None:
    """3 x 3, offsets computed at run time, with a mask or none."""
    batch, into, out, size = draw.batch(), draw.channels(6), draw.channels(6), draw.integer(4, 6)
    inputs = [draw.input(draw.normal((batch, into, size, size)))]
    inputs.append(draw.initializer(draw.normal((out, into, 3, 3)), "weight"))
    inputs.append(draw.input(draw.normal((batch, 18, size, size), scale=0.5), "offset"))
    inputs.append(draw.initializer(draw.normal((out,)), "bias") if draw.chance(0.5) else "")
    if draw.chance(0.5):
        inputs.append(draw.input(draw.uniform((batch, 9, size, size), 0, 1), "mask"))
    while inputs[-1] == "":
        inputs.pop()
    draw.emit(*inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


@generator("Col2Im", weight=4, precision=Precision.ARITHMETIC)
def col2im(draw: Draw) -> None:
    """`torch.nn.Fold` with blocks of 2 that do not overlap."""
    channels, height, width = draw.channels(4), draw.pick((2, 4)), draw.pick((2, 4, 6))
    values = draw.normal((draw.batch(), channels * 4, height * width // 4))
    image, block = draw.integers([height, width], "image_shape"), draw.integers([2, 2], "block_shape")
    draw.emit(draw.input(values), image, block, strides=[2, 2])
