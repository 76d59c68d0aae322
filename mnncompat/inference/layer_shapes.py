"""Shapes of products, convolutions, pools, resizing and recurrent layers; see `reshaping_shapes`."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from mnncompat.inference.reshaping_shapes import Function
from mnncompat.inference.shape_propagation import Propagation, Shape
from mnncompat.inference.size_expression import Size

_MATRIX = 2


def _matmul(run: Propagation, node: NodeProto) -> list[Shape | None]:
    left, right = run.shape(node.input[0]), run.shape(node.input[1])
    if left is None or right is None or not left or not right:
        return [None]
    run.require("equal", left[-1], right[-_MATRIX] if len(right) > 1 else right[0], left, right)
    batch = run.broadcast(left[:-_MATRIX], right[:-_MATRIX]) or ()
    rows = left[-_MATRIX:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return [(*batch, *rows, *columns)]


def _gemm(run: Propagation, node: NodeProto) -> list[Shape | None]:
    left, right = run.shape(node.input[0]), run.shape(node.input[1])
    if left is None or right is None or len(left) != _MATRIX or len(right) != _MATRIX:
        return [None]
    left = left[::-1] if run.attribute(node, "transA", 0) else left
    right = right[::-1] if run.attribute(node, "transB", 0) else right
    run.require("equal", left[1], right[0], left, right)
    return [(left[0], right[1])]


def _einsum(run: Propagation, node: NodeProto) -> list[Shape | None]:
    stated = run.attribute(node, "equation", b"")
    if not isinstance(stated, bytes):
        return [None]
    equation = stated.decode(errors="replace").replace(" ", "")
    operands, arrow, result = equation.partition("->")
    if not arrow or "." in equation:
        return [None]
    sizes: dict[str, Size | None] = {}
    for name, term in zip(node.input, operands.split(","), strict=True):
        for letter, size in zip(term, run.shape(name) or (None,) * len(term), strict=True):
            if sizes.get(letter) is None:
                sizes[letter] = size
            else:
                run.require("equal", size, sizes[letter], run.shape(name))
    return [tuple(sizes[letter] for letter in result)]


# ---- windows -------------------------------------------------------------------------------------------------------


def _windows(run: Propagation, node: NodeProto, kernel: Sequence[int], sizes: Shape) -> list[Size | None]:
    count = len(kernel)
    strides = run.attribute(node, "strides") or [1] * count
    dilations = run.attribute(node, "dilations") or [1] * count
    pads = run.attribute(node, "pads") or [0] * 2 * count
    automatic = run.attribute(node, "auto_pad", b"NOTSET")
    upwards = bool(run.attribute(node, "ceil_mode", 0))
    result: list[Size | None] = []
    for axis, size in enumerate(sizes):
        if size is None:
            result.append(None)
        elif automatic.startswith(b"SAME"):
            result.append(size.ceil_div(strides[axis]))
        else:
            extent = (kernel[axis] - 1) * dilations[axis] + 1
            padding = 0 if automatic == b"VALID" else pads[axis] + pads[axis + count]
            room = size + padding - extent
            run.require("at-least", room, 0, sizes)
            result.append((room.ceil_div(strides[axis]) if upwards else room // strides[axis]) + 1)
    return result


def _conv(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, weight = run.shape(node.input[0]), run.shape(node.input[1])
    if shape is None or weight is None:
        return [None]
    kernel = run.attribute(node, "kernel_shape") or [size.number if size else None for size in weight[2:]]
    group = run.attribute(node, "group", 1)
    if weight[1] is not None:
        run.require("equal", shape[1], weight[1] * group, shape, weight)
    spatial = [None] * len(kernel) if None in kernel else _windows(run, node, kernel, shape[2:])
    return [(shape[0], weight[0], *spatial)]


def _conv_transpose(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, weight = run.shape(node.input[0]), run.shape(node.input[1])
    if shape is None or weight is None or weight[1] is None:
        return [None]
    count = len(shape) - 2
    kernel = run.attribute(node, "kernel_shape") or [size.number if size else None for size in weight[2:]]
    strides = run.attribute(node, "strides") or [1] * count
    dilations = run.attribute(node, "dilations") or [1] * count
    pads = run.attribute(node, "pads") or [0] * 2 * count
    extra = run.attribute(node, "output_padding") or [0] * count
    stated = run.attribute(node, "output_shape")
    same = run.attribute(node, "auto_pad", b"NOTSET").startswith(b"SAME")
    result: list[Size | None] = []
    for axis, size in enumerate(shape[2:]):
        if stated:
            result.append(Size(stated[axis - count]))
        elif size is None or kernel[axis] is None:
            result.append(None)
        elif same:
            result.append(size * strides[axis])
        else:
            padding = pads[axis] + pads[axis + count] - extra[axis]
            result.append((size - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - padding)
    channels = weight[1] * run.attribute(node, "group", 1)
    return [(shape[0], channels, *result)]


def _pool(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None] * len(node.output)
    return [(*shape[:2], *_windows(run, node, run.attribute(node, "kernel_shape"), shape[2:]))] * len(node.output)


def _global_pool(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    return [None if shape is None else (*shape[:2], *(Size(1) for _ in shape[2:]))]


def _resize(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    names = [*node.input, "", "", ""]
    old = len(node.input) <= _MATRIX
    sizes = None if old else run.value(names[3]) if names[3] else None
    axes = run.attribute(node, "axes") or list(range(len(shape)))
    result: list[Size | None] = list(shape)
    if sizes is not None:
        for axis, wanted in zip(axes, sizes, strict=True):
            result[axis] = wanted
        return [tuple(result)]
    scales = run.attribute(node, "scales") or run.floats(names[1 if old else 2])
    if not scales:
        return [(None,) * len(shape)]
    for axis, scale in zip(axes, scales, strict=True):
        size = result[axis]
        result[axis] = None if size is None else _scaled(size, scale)
    return [tuple(result)]


def _scaled(size: Size, scale: float) -> Size | None:
    if scale == int(scale):
        return size * int(scale)
    inverse = 1 / scale if scale else 0.0
    if abs(inverse - round(inverse)) < 1e-6:  # noqa: PLR2004 - scales are stored as float32
        return size // round(inverse)
    return None if size.number is None else Size(int(size.number * scale))


def _depth_to_space(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, block = run.shape(node.input[0]), run.attribute(node, "blocksize", 1)
    if shape is None or None in shape:
        return [None]
    batch, channels, height, width = (size or Size() for size in shape)
    if node.op_type == "DepthToSpace":
        return [(batch, channels // (block * block), height * block, width * block)]
    for size in (height, width):
        run.require("multiple", size, block, shape)
    return [(batch, channels * (block * block), height // block, width // block)]


# ---- layers --------------------------------------------------------------------------------------------------------


def _recurrent(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, hidden = run.shape(node.input[0]), run.attribute(node, "hidden_size")
    if shape is None or hidden is None:
        return [None] * len(node.output)
    directions = Size(2 if run.attribute(node, "direction", b"") == b"bidirectional" else 1)
    weight = run.shape(node.input[1])
    if weight is not None:
        run.require("equal", shape[-1], weight[-1], shape)
    if run.attribute(node, "layout", 0):
        first: Shape = (shape[0], directions, Size(hidden))
        return [(shape[0], shape[1], directions, Size(hidden)), first, first]
    state: Shape = (directions, shape[1], Size(hidden))
    return [(shape[0], directions, shape[1], Size(hidden)), state, state]


def _layer_normalization(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, scale = run.shape(node.input[0]), run.shape(node.input[1])
    if shape is not None and scale is not None and len(scale) <= len(shape):
        for size, wanted in zip(reversed(shape), reversed(scale), strict=False):
            run.require("equal", size, wanted, shape, scale)
    return [shape]


def _batch_normalization(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape, scale = run.shape(node.input[0]), run.shape(node.input[1])
    if shape is not None and scale is not None and len(shape) > 1:
        run.require("equal", shape[1], scale[0], shape)
    return [shape]


LAYERS: dict[str, Function] = {
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Einsum": _einsum,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalLpPool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_normalization,
    "LpPool": _pool,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "RNN": _recurrent,
    "Resize": _resize,
    "SpaceToDepth": _depth_to_space,
    "Upsample": _resize,
}
