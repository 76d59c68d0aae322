"""Blocks of networks: convolutions with what follows them, attention, heads, shuffles, decomposed normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.families.activations import activation
from mnncompat.probe.generated.families.convolution import draw_window
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_COMPUTED = {"float32": 93.0, "float16": 7.0}
_AXES_ARE_INPUT = 18
_OPERANDS_OF_PAD = 11


def _convolved(draw: Draw, dtype: np.dtype[Any], *, source: str | None = None) -> tuple[str, int]:
    """Add a convolution with constant weights: its output and its channels."""
    window = draw_window(draw, 2, dilated=0.05)
    into, out = draw.channels(8), draw.channels(8)
    x = source or draw.input(draw.normal((draw.batch(), into, *window.size), dtype))
    operands = [x, draw.initializer(draw.normal((out, into, *window.kernel), dtype, 0.5), "weight")]
    if draw.chance(0.4):
        operands.append(draw.initializer(draw.normal((out,), dtype), "bias"))
    return draw.node("Conv", operands, kernel_shape=window.kernel, **window.attributes)[0], out


@generator("BatchNormalization", form="conv", weight=22, precision=Precision.ACCUMULATED)
def normalized_convolution(draw: Draw) -> None:
    """Convolution, batch normalisation, an activation in most."""
    dtype = draw.dtype(_COMPUTED)
    y, out = _convolved(draw, dtype)
    ranges = (("scale", 0.5, 1.5), ("bias", -1.0, 1.0), ("mean", -1.0, 1.0), ("var", 0.3, 2.0))
    statistics = [draw.initializer(draw.uniform((out,), low, high, dtype), stem) for stem, low, high in ranges]
    (y,) = draw.emit(y, *statistics, epsilon=draw.pick((1e-5, 1e-3)))
    if draw.chance(0.7):
        activation(draw, y, dtype)


@generator("Conv", form="activation", weight=24, precision=Precision.ACCUMULATED)
def activated_convolution(draw: Draw) -> None:
    """Convolution and activation; behind a sum with the input in residual blocks."""
    dtype = draw.dtype(_COMPUTED)
    if draw.chance(0.6):
        activation(draw, _convolved(draw, dtype)[0], dtype)
        return
    channels = draw.channels(8)
    x = draw.input(draw.normal((draw.batch(), channels, draw.dim(3, 8), draw.dim(3, 8)), dtype))
    weight = draw.initializer(draw.normal((channels, channels, 3, 3), dtype, 0.3), "weight")
    (y,) = draw.emit(x, weight, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    (total,) = draw.node("Add", [y, x] if draw.chance(0.7) else [x, y])
    draw.node("Relu", [total])


@generator("Pad", form="conv", weight=10, precision=Precision.ACCUMULATED)
def padded_convolution(draw: Draw) -> None:
    """Padding as its own node in front of a convolution or a pool without pads, as TensorFlow has it."""
    channels = draw.channels(8)
    x = draw.input(draw.normal((draw.batch(), channels, draw.dim(4, 8), draw.dim(4, 8))))
    mode = draw.weighted({"constant": 6.0, "reflect": 2.0, "edge": 0.5})
    amounts = [0, 0, *draw.weighted({(1, 1, 0, 0, 1, 1): 6.0, (0, 0, 0, 0, 1, 1): 3.0, (2, 2, 0, 0, 2, 2): 1.0})]
    if draw.version < _OPERANDS_OF_PAD:
        (padded,) = draw.emit(x, mode=mode, pads=amounts)
    else:
        (padded,) = draw.emit(x, draw.constant(np.array(amounts), "pads"), mode=mode)
    if draw.chance(0.7):
        weight = draw.initializer(draw.normal((draw.channels(8), channels, 3, 3)), "weight")
        draw.node("Conv", [padded, weight], kernel_shape=[3, 3], strides=draw.pick(([1, 1], [2, 2])))
    else:
        draw.node(draw.pick(("MaxPool", "AveragePool")), [padded], kernel_shape=[3, 3], strides=[2, 2])


@generator("Softmax", form="attention", weight=16, precision=Precision.APPROXIMATE, oldest=11)
def attention(draw: Draw) -> None:
    """`softmax(q k^T / sqrt(d) + mask) v` in 4-D or 3-D, keys transposed in the graph or before."""
    dtype = draw.dtype(_COMPUTED)
    heads = (draw.batch(), draw.pick((1, 2, 4))) if draw.chance(0.7) else (draw.pick((1, 2, 4)),)
    length, size = draw.dim(2, 6), draw.pick((4, 8))
    q, k, v = (draw.input(draw.normal((*heads, length, size), dtype), stem) for stem in "qkv")
    rank = len(heads) + 2
    (transposed,) = draw.node("Transpose", [k], perm=[*range(rank - 2), rank - 1, rank - 2])
    (scores,) = draw.node("MatMul", [q, transposed])
    op, factor = draw.pick((("Div", size**0.5), ("Mul", size**-0.5)))
    (scores,) = draw.node(op, [scores, draw.constant(np.array(factor, dtype), "factor")])
    if draw.chance(0.4):
        mask = np.triu(np.full((length, length), -1e4), 1).astype(dtype)
        (scores,) = draw.node("Add", [scores, draw.operand(mask, "mask", constant=0.5)])
    (weights,) = draw.emit(scores, axis=draw.pick((-1, rank - 1)))
    draw.node("MatMul", [weights, v])


def _mean(draw: Draw, value: str) -> str:
    if draw.op == "ReduceMean" and draw.opset >= _AXES_ARE_INPUT:
        return draw.node("ReduceMean", [value, draw.initializer(np.array([-1]), "axes")])[0]
    return draw.node("ReduceMean", [value], axes=[-1], keepdims=draw.pick((None, 1)))[0]


@generator("ReduceMean", form="layernorm", weight=14, precision=Precision.ACCUMULATED, oldest=11)
def layer_norm(draw: Draw) -> None:
    """Layer normalisation before opset 17, or RMS normalisation."""
    dtype = draw.dtype(_COMPUTED)
    shape = draw.shape(2, 4, least=4)
    centred = x = draw.input(draw.normal(shape, dtype))
    if draw.chance(0.65):
        (centred,) = draw.node("Sub", [x, _mean(draw, x)])
    (square,) = draw.node("Pow", [centred, draw.constant(np.array(2.0, dtype), "two")])
    (shifted,) = draw.node("Add", [_mean(draw, square), draw.constant(np.array(1e-5, dtype), "epsilon")])
    (root,) = draw.node("Sqrt", [shifted])
    (y,) = draw.node("Div", [centred, root])
    (y,) = draw.node("Mul", [y, draw.initializer(draw.uniform(shape[-1:], 0.5, 1.5, dtype), "weight")])
    if draw.chance(0.7):
        draw.node("Add", [y, draw.initializer(draw.normal(shape[-1:], dtype), "bias")])


@generator("InstanceNormalization", form="groupnorm", weight=10, precision=Precision.ACCUMULATED)
def group_norm(draw: Draw) -> None:
    """Group normalisation as PyTorch exports it: the groups as channels of an instance normalisation."""
    groups = draw.pick((1, 2, 4))
    shape = (draw.batch(), groups * draw.pick((1, 2, 3)), draw.dim(2, 6), draw.dim(2, 6))
    x = draw.input(draw.normal(shape))
    (grouped,) = draw.node("Reshape", [x, draw.constant(np.array([0, groups, -1]), "groups")])
    ones, zeros = draw.constant(np.ones(groups, np.float32)), draw.constant(np.zeros(groups, np.float32))
    (normal,) = draw.emit(grouped, ones, zeros, epsilon=1e-5)
    (y,) = draw.node("Reshape", [normal, draw.constant(np.array(shape), "shape")])
    (y,) = draw.node("Mul", [y, draw.initializer(draw.uniform((shape[1], 1, 1), 0.5, 1.5), "weight")])
    draw.node("Add", [y, draw.initializer(draw.normal((shape[1], 1, 1)), "bias")])


@generator("Gemm", form="head", weight=14, precision=Precision.ACCUMULATED)
def head(draw: Draw) -> None:
    """The classifier: images flattened or pooled, then a linear layer, an activation or a softmax."""
    batch, channels, size = draw.batch(), draw.channels(8), draw.pick((1, 2, 3, 4))
    x = draw.input(draw.normal((batch, channels, size, size)))
    pooled = draw.chance(0.4)
    if pooled:
        (x,) = draw.node("GlobalAveragePool", [x])
    features = channels if pooled else channels * size * size
    form = draw.pick(("Flatten", "Reshape"))
    if form == "Flatten":
        (flat,) = draw.node("Flatten", [x])
    else:
        (flat,) = draw.node("Reshape", [x, draw.constant(np.array([-1, features]), "shape")])
    out = draw.dim(2, 10)
    weight = draw.initializer(draw.normal((out, features), scale=0.3), "weight")
    (y,) = draw.emit(flat, weight, draw.initializer(draw.normal((out,)), "bias"), alpha=1.0, beta=1.0, transB=1)
    if draw.chance(0.5):
        draw.node(*draw.pick((("Relu", [y]), ("Sigmoid", [y]))))


@generator("Transpose", form="shuffle", weight=16, precision=Precision.EXACT)
def shuffle(draw: Draw) -> None:
    """Reshape, Transpose, Reshape: channel shuffle, window partition, merging of attention heads."""
    batch, inner = draw.batch(), draw.pick((2, 3, 4))
    form = draw.pick(("channels", "windows", "heads"))
    shape: tuple[int, ...]
    if form == "channels":
        shape, perm = (batch, 2 * inner, 3, 4), [0, 2, 1, 3, 4]
        middle, last = [batch, 2, inner, 3, 4], [batch, -1, 3, 4]
    elif form == "windows":
        shape, perm = (batch, 4, 6, inner), [0, 1, 3, 2, 4, 5]
        middle, last = [batch, 2, 2, 3, 2, inner], [-1, 2, 2, inner]
    else:
        shape, perm = (batch, 5, 4 * inner), [0, 2, 1, 3]
        middle, last = [batch, 5, 4, inner], [batch * 4, 5, inner]
    x = draw.input(draw.normal(shape, draw.dtype(_COMPUTED)))
    (split,) = draw.node("Reshape", [x, draw.constant(np.array(middle), "shape")])
    (moved,) = draw.emit(split, perm=perm)
    draw.node("Reshape", [moved, draw.constant(np.array(last), "shape")])


@generator("ReduceL2", form="normalize", weight=10, precision=Precision.ARITHMETIC, oldest=11)
def normalize(draw: Draw) -> None:
    """`torch.nn.functional.normalize`: ReduceL2, Clip, Expand to the input's Shape, Div."""
    dtype = draw.dtype(_COMPUTED)
    x = draw.input(draw.normal(draw.shape(2, 4, least=2), dtype))
    axis = draw.pick((1, -1))
    if draw.opset >= _AXES_ARE_INPUT:
        (norm,) = draw.emit(x, draw.constant(np.array([axis]), "axes"), keepdims=1)
    else:
        (norm,) = draw.emit(x, axes=[axis], keepdims=1)
    if draw.opset > _OPERANDS_OF_PAD:
        (norm,) = draw.node("Clip", [norm, draw.constant(np.array(1e-7, dtype), "least")])
    (sizes,) = draw.node("Shape", [x])
    (expanded,) = draw.node("Expand", [norm, sizes])
    draw.node("Div", [x, expanded])


@generator("Resize", form="like", weight=12, precision=Precision.ARITHMETIC, oldest=11)
def resize_like(draw: Draw) -> None:
    """To the size of another feature map: Shape, Slice, Concat, Resize by sizes."""
    shape = (draw.batch(), draw.channels(8), draw.dim(2, 6), draw.dim(2, 6))
    x = draw.input(draw.normal(shape))
    other = draw.input(draw.normal((*shape[:2], shape[2] * 2, shape[3] * 2)), "other")
    parts = []
    for source, start, end in ((x, 0, 2), (other, 2, 4)):
        (sizes,) = draw.node("Shape", [source])
        bounds = [draw.constant(np.array([each]), "bound") for each in (start, end, 0)]
        parts += draw.node("Slice", [sizes, *bounds])
    (target,) = draw.node("Concat", parts, axis=0)
    mode, coordinates = draw.pick((("nearest", "asymmetric"), ("linear", "align_corners"), ("linear", "half_pixel")))
    empty = ["", ""] if draw.version >= 13 else [draw.initializer(np.zeros(0, np.float32), "empty")] * 2  # noqa: PLR2004
    rounding = "floor" if mode == "nearest" else None
    draw.emit(x, *empty, target, mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=rounding)


@generator("Expand", form="torch", weight=8, precision=Precision.EXACT, oldest=9)
def expand_like_torch(draw: Draw) -> None:
    """`x.expand(-1, n, -1)` as PyTorch exports it: -1 in the target replaced by one through Equal and Where."""
    goal = draw.shape(2, 4)
    axis = draw.integer(0, len(goal) - 1)
    start = tuple(1 if index == axis else size for index, size in enumerate(goal))
    target = np.array([size if index == axis else -1 for index, size in enumerate(goal)])
    x = draw.input(draw.normal(start, draw.dtype(_COMPUTED)))
    sizes = draw.constant(target, "sizes")
    (keeps,) = draw.node("Equal", [sizes, draw.constant(np.full(len(goal), -1), "minus_one")])
    (chosen,) = draw.node("Where", [keeps, draw.constant(np.ones(len(goal), np.int64), "ones"), sizes])
    draw.emit(x, chosen)


@generator("QuantizeLinear", form="conv", weight=12, precision=Precision.ACCUMULATED)
def quantized_convolution(draw: Draw) -> None:
    """Q and DQ of the activation, DQ of the weight, the convolution: what quantisers write."""
    into, out = draw.channels(8), draw.channels(8)
    shape = (draw.batch(), into, draw.dim(3, 7), draw.dim(3, 7))
    steps = draw.random.integers(-100, 120, shape) + draw.random.uniform(-0.4, 0.4, shape)
    kind = draw.pick(("uint8", "int8"))
    scale = draw.initializer(np.array(0.02, np.float32), "x_scale")
    zero = draw.initializer(np.array(110 if kind == "uint8" else 0, kind), "x_zero_point")
    (quantized,) = draw.emit(draw.input((steps * 0.02).astype(np.float32)), scale, zero)
    (real,) = draw.node("DequantizeLinear", [quantized, scale, zero])
    weight = draw.initializer(draw.uniform((out, into, 3, 3), -127, 127, "int8"), "weight")
    weight_scale = draw.initializer(np.array(0.01, np.float32), "w_scale")
    (kernel,) = draw.node("DequantizeLinear", [weight, weight_scale, draw.initializer(np.array(0, np.int8), "w_zero")])
    draw.node("Conv", [real, kernel], pads=[1, 1, 1, 1])
