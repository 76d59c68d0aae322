"""Python that prepares images with MNN's ImageProcess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnncompat.deploying.code.interface import comment, shape_words

if TYPE_CHECKING:
    from mnncompat.deploying.code.images import CodeImage

_PILLOW = {"antialias": "BILINEAR", "bicubic": "BICUBIC", "nearest": "NEAREST"}
"""Filters that are Pillow's, and what it calls them."""
_PROCESS = '''

def _processed(pixels, size, scales, shifts, config):
    """What MNN's ImageProcess makes of pixels: float32, [height, width, channels].

    Args:
        pixels: uint8, [height, width, channels].
        size: Height and width of the result.
        scales: Down and to the right: from places in the result to places in the image.
        shifts: Likewise.
        config: Formats, filter, mean and normal.
    """
    process, matrix = MNN.CVImageProcess({"wrap": MNN.CV_Wrap_CLAMP_TO_EDGE, **config}), MNN.CVMatrix()
    matrix.write((scales[1], 0.0, shifts[1], 0.0, scales[0], shifts[0], 0.0, 0.0, 1.0))
    process.setMatrix(matrix)
    shape = (1, *size, 1 if config["destFormat"] == MNN.CV_ImageFormat_GRAY else 3)
    found = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Tensorflow)
    pixels = np.ascontiguousarray(pixels)
    if process.convert(pixels.ctypes.data, pixels.shape[1], pixels.shape[0], 0, found):
        raise RuntimeError("MNN does not process the image")
    return np.array(found.getNumpyData(), np.float32)[0]
'''
_PREPARE = '''

def prepare_{identifier}(pixels):
    """An image as `run` takes it: {steps}.

    Args:
        pixels: uint8, [height, width, 3], red first: `np.asarray(PIL.Image.open(path).convert("RGB"))`.

    Returns:
        {dtype}, {shape}.
    """
    height, width = pixels.shape[:2]
    rows, columns = {rows}
{resize}    size = {size}
    if size[0] > rows or size[1] > columns:
        raise ValueError("the image is smaller than its crop")
    top, left = round((rows - size[0]) / 2), round((columns - size[1]) / 2)  # halves to the even one, as torchvision
{scales}    config = {{
        "sourceFormat": MNN.CV_ImageFormat_RGB,
        "destFormat": MNN.CV_ImageFormat_{dest},
        "filterType": MNN.CV_Filter_BILINEAL,
        "mean": {mean},
        "normal": {normal},
    }}
    found = _processed(pixels, size, scales, shifts, config)
    return np.ascontiguousarray({result}{batch}, np.{dtype})
'''
_RESIZE = """    if (rows, columns) != (height, width):
        pixels = np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.{filter}))
        height, width = rows, columns
"""
_HALF = """    scales = height / rows, width / columns
    shifts = (top + 0.5) * scales[0] - 0.5, (left + 0.5) * scales[1] - 0.5
"""
_CORNERS = """    scales = (height - 1) / max(rows - 1, 1), (width - 1) / max(columns - 1, 1)
    shifts = top * scales[0], left * scales[1]
"""


def python_images(images: Sequence[CodeImage]) -> str:
    """Functions that prepare images; empty if none is."""
    return _PROCESS + "".join(map(_prepare, images)) if images else ""


def python_imports(images: Sequence[CodeImage]) -> str:
    """What they need besides numpy and MNN."""
    return "from PIL import Image\n" if any(each.own for each in images) else ""


def _prepare(image: CodeImage) -> str:
    steps = image.preprocess
    mean, normal = image.numbers
    return _PREPARE.format(
        identifier=image.tensor.identifier,
        steps=comment(image.steps),
        dtype=image.tensor.dtype,
        shape=shape_words(image.tensor.shape),
        rows=_rows(steps.resize),
        resize=_RESIZE.format(filter=_PILLOW[steps.filter]) if image.own else "",
        size="rows, columns" if steps.crop is None else f"{steps.crop[0]}, {steps.crop[1]}",
        scales=_CORNERS if steps.filter == "corners" else _HALF,
        dest=image.dest,
        mean=mean,
        normal=normal,
        result="np.moveaxis(found, -1, 0)" if image.first else "found",
        batch="[None]" if image.batch else "",
    )


def _rows(resize: int | tuple[int, int] | None) -> str:
    if resize is None:
        return "height, width"
    if isinstance(resize, int):
        wide, high = f"({resize}, {resize} * width // height)", f"({resize} * height // width, {resize})"
        return f"{wide} if height <= width else {high}"
    return f"{resize[0]}, {resize[1]}"
