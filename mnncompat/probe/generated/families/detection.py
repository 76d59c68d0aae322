"""Detection and sampling: NonMaxSuppression, RoiAlign, MaxRoiPool, GridSample, AffineGrid, DeformConv, Col2Im."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_BATCHED = 3


@generator("NonMaxSuppression", weight=30, precision=Precision.EXACT)
def suppress(sample: Sample) -> None:
    """One image and a class or several; thresholds constant; scores well apart; boxes on a grid with overlaps."""
    boxes_count, classes = sample.integer(4, 10), sample.integer(1, 3)
    corners = sample.uniform((1, boxes_count, 2), 0, 5, "int64").astype(np.float32)
    extent = sample.uniform((1, boxes_count, 2), 1, 3, "int64").astype(np.float32) + np.float32(0.25)
    centred = sample.chance(0.15)
    boxes = np.concatenate([corners, extent] if centred else [corners, corners + extent], axis=-1)
    apart = 0.01 * np.arange(boxes_count)
    scores = (np.abs(sample.distinct((1, classes, boxes_count))) + apart).astype(np.float32)
    inputs = [sample.input(boxes, "boxes"), sample.input(scores, "scores")]
    thresholds = [
        np.array(sample.pick(([3], [10], 100))),
        np.array([sample.pick((0.45, 0.51, 0.7))], np.float32),
        np.array([sample.pick((0.0, 0.105, 0.255))], np.float32),
    ]
    given = thresholds[: sample.weighted({3: 7.0, 2: 2.0, 1: 0.5})]
    inputs += [sample.operand(values, "limit", constant=0.95) for values in given]
    attributes = {"center_point_box": 1} if centred else sample.attributes(0.6, center_point_box=(0,))
    sample.emit(*inputs, **attributes)


def _rois(sample: Sample, count: int, size: int) -> np.ndarray:
    corners = sample.uniform((count, 2), 0, size / 2)
    return np.concatenate([corners, corners + sample.uniform((count, 2), 1, size / 2)], axis=-1).astype(np.float32)


@generator("RoiAlign", weight=22, precision=Precision.ARITHMETIC)
def roi_align(sample: Sample) -> None:
    """Pooled sizes of 2 to 7, strides of 1, 4 and 16, averages mostly."""
    size, count, batch = sample.integer(6, 10), sample.integer(1, 4), sample.batch()
    stride = sample.pick((1, 1, 4, 16))
    x = sample.input(sample.normal((batch, sample.channels(8), size, size)))
    rois = sample.input((_rois(sample, count, size) * np.float32(stride)).astype(np.float32), "rois")
    indices = sample.operand(sample.uniform((count,), 0, batch - 1, "int64"), "batch_indices", constant=0.4)
    pooled = sample.pick((2, 3, 7))
    attributes: dict[str, Any] = {"output_height": pooled, "output_width": pooled, "spatial_scale": 1.0 / stride}
    modes = ("output_half_pixel", "half_pixel")
    attributes |= sample.attributes(coordinate_transformation_mode=modes, mode=("avg",))
    attributes |= sample.attributes(0.2, sampling_ratio=(2, 2, 1, 0))
    if sample.chance(0.08):  # ONNX Runtime is wrong about maxima of several samples
        attributes |= {"mode": "max", "sampling_ratio": 1}
    sample.emit(x, rois, indices, **attributes)


@generator("MaxRoiPool", weight=10, precision=Precision.EXACT)
def roi_pool(sample: Sample) -> None:
    """Regions with their batch index in front, whole numbers."""
    size, count = sample.integer(6, 10), sample.integer(1, 4)
    x = sample.input(sample.distinct((1, sample.channels(8), size, size)))
    rois = np.concatenate([np.zeros((count, 1), np.float32), np.rint(_rois(sample, count, size))], axis=-1)
    pooled = sample.pick((2, 3))
    scale = sample.attributes(0.5, spatial_scale=(1.0, 0.5))
    sample.emit(x, sample.input(rois, "rois"), pooled_shape=[pooled, pooled], **scale)


@generator("GridSample", weight=60, precision=Precision.ARITHMETIC)
def grid_sample(sample: Sample) -> None:
    """Images; grids inside and a little beyond; each mode, padding and alignment; volumes from opset 20 on."""
    modes = ("linear", "nearest", "cubic") if sample.version >= 20 else ("bilinear", "nearest", "bicubic")  # noqa: PLR2004
    mode = sample.weighted({None: 1.5, modes[0]: 5.0, modes[1]: 2.0, modes[2]: 0.7})
    dimensions = 3 if sample.version >= 20 and mode in {None, modes[0], modes[1]} and sample.chance(0.15) else 2  # noqa: PLR2004
    batch = sample.batch()
    x = sample.normal((batch, sample.channels(8), *(sample.dim(3, 8) for _ in range(dimensions))))
    attributes = sample.attributes(0.25, padding_mode=("zeros", "zeros", "border", "reflection"), align_corners=(0, 1))
    beyond = attributes.get("padding_mode") in {"border", "reflection"} or sample.chance(0.3)
    reach = 1.3 if beyond else 0.95
    grid = sample.uniform((batch, *(sample.dim(2, 6) for _ in range(dimensions)), dimensions), -reach, reach)
    if mode == modes[1]:
        grid = _between_pixels(sample, grid, x.shape, aligned=attributes.get("align_corners") == 1)
    sample.emit(sample.input(x), sample.input(grid, "grid"), mode=mode, **attributes)


def _between_pixels(sample: Sample, grid: np.ndarray, shape: tuple[int, ...], *, aligned: bool) -> np.ndarray:
    """Points off the middle between two pixels, where the nearest one is a matter of rounding."""
    sizes = np.array(shape[:1:-1], np.float64)
    pixels = (grid + 1) / 2 * (sizes - 1) if aligned else ((grid + 1) * sizes - 1) / 2
    pixels = np.rint(pixels) + sample.random.uniform(-0.4, 0.4, grid.shape)
    found = pixels / np.maximum(sizes - 1, 1) * 2 - 1 if aligned else (2 * pixels + 1) / sizes - 1
    return np.asarray(found).astype(np.float32)


@generator("AffineGrid", weight=4, precision=Precision.ARITHMETIC)
def affine_grid(sample: Sample) -> None:
    """Grids of images."""
    batch = sample.batch()
    size = sample.integers([batch, sample.channels(8), sample.dim(2, 6), sample.dim(2, 6)], "size")
    sample.emit(sample.input(sample.normal((batch, 2, 3)), "theta"), size, **sample.attributes(align_corners=(0, 1)))


@generator("DeformConv", weight=4, precision=Precision.ACCUMULATED)
def deform_conv(sample: Sample) -> None:
    """3 x 3, offsets computed at run time, with a mask or none."""
    batch, into, out, size = sample.batch(), sample.channels(6), sample.channels(6), sample.integer(4, 6)
    inputs = [sample.input(sample.normal((batch, into, size, size)))]
    inputs.append(sample.initializer(sample.normal((out, into, 3, 3)), "weight"))
    inputs.append(sample.input(sample.normal((batch, 18, size, size), scale=0.5), "offset"))
    inputs.append(sample.initializer(sample.normal((out,)), "bias") if sample.chance(0.5) else "")
    if sample.chance(0.5):
        inputs.append(sample.input(sample.uniform((batch, 9, size, size), 0, 1), "mask"))
    while inputs[-1] == "":
        inputs.pop()
    sample.emit(*inputs, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


@generator("Col2Im", weight=4, precision=Precision.ARITHMETIC)
def col2im(sample: Sample) -> None:
    """`torch.nn.Fold` with blocks of 2 that do not overlap."""
    channels, height, width = sample.channels(4), sample.pick((2, 4)), sample.pick((2, 4, 6))
    values = sample.normal((sample.batch(), channels * 4, height * width // 4))
    image, block = sample.integers([height, width], "image_shape"), sample.integers([2, 2], "block_shape")
    sample.emit(sample.input(values), image, block, strides=[2, 2])
