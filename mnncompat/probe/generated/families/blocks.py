"""Blocks of networks: convolutions with what follows them, attention, heads, shuffles, decomposed normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.families.activations import activation
from mnncompat.probe.generated.families.convolution import draw_window
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_COMPUTED = {"float32": 93.0, "float16": 7.0}
_AXES_ARE_INPUT = 18
_OPERANDS_OF_PAD = 11


def _convolved(sample: Sample, dtype: np.dtype[Any], *, source: str | None = None) -> tuple[str, int]:
    """Add a convolution with constant weights: its output and its channels."""
    window = draw_window(sample, 2, dilated=0.05)
    into, out = sample.channels(8), sample.channels(8)
    x = source or sample.input(sample.normal((sample.batch(), into, *window.size), dtype))
    operands = [x, sample.initializer(sample.normal((out, into, *window.kernel), dtype, 0.5), "weight")]
    if sample.chance(0.4):
        operands.append(sample.initializer(sample.normal((out,), dtype), "bias"))
    return sample.node("Conv", operands, kernel_shape=window.kernel, **window.attributes)[0], out


@generator("BatchNormalization", form="conv", weight=22, precision=Precision.ACCUMULATED)
def normalized_convolution(sample: Sample) -> None:
    """Convolution, batch normalisation, an activation in most."""
    dtype = sample.dtype(_COMPUTED)
    y, out = _convolved(sample, dtype)
    ranges = (("scale", 0.5, 1.5), ("bias", -1.0, 1.0), ("mean", -1.0, 1.0), ("var", 0.3, 2.0))
    statistics = [sample.initializer(sample.uniform((out,), low, high, dtype), stem) for stem, low, high in ranges]
    (y,) = sample.emit(y, *statistics, epsilon=sample.pick((1e-5, 1e-3)))
    if sample.chance(0.7):
        activation(sample, y, dtype)


@generator("Conv", form="activation", weight=24, precision=Precision.ACCUMULATED)
def activated_convolution(sample: Sample) -> None:
    """Convolution and activation; behind a sum with the input in residual blocks."""
    dtype = sample.dtype(_COMPUTED)
    if sample.chance(0.6):
        activation(sample, _convolved(sample, dtype)[0], dtype)
        return
    channels = sample.channels(8)
    x = sample.input(sample.normal((sample.batch(), channels, sample.dim(3, 8), sample.dim(3, 8)), dtype))
    weight = sample.initializer(sample.normal((channels, channels, 3, 3), dtype, 0.3), "weight")
    (y,) = sample.emit(x, weight, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    (total,) = sample.node("Add", [y, x] if sample.chance(0.7) else [x, y])
    sample.node("Relu", [total])


@generator("Pad", form="conv", weight=10, precision=Precision.ACCUMULATED)
def padded_convolution(sample: Sample) -> None:
    """Padding as its own node in front of a convolution or a pool without pads, as TensorFlow has it."""
    channels = sample.channels(8)
    x = sample.input(sample.normal((sample.batch(), channels, sample.dim(4, 8), sample.dim(4, 8))))
    mode = sample.weighted({"constant": 6.0, "reflect": 2.0, "edge": 0.5})
    amounts = [0, 0, *sample.weighted({(1, 1, 0, 0, 1, 1): 6.0, (0, 0, 0, 0, 1, 1): 3.0, (2, 2, 0, 0, 2, 2): 1.0})]
    if sample.version < _OPERANDS_OF_PAD:
        (padded,) = sample.emit(x, mode=mode, pads=amounts)
    else:
        (padded,) = sample.emit(x, sample.constant(np.array(amounts), "pads"), mode=mode)
    if sample.chance(0.7):
        weight = sample.initializer(sample.normal((sample.channels(8), channels, 3, 3)), "weight")
        sample.node("Conv", [padded, weight], kernel_shape=[3, 3], strides=sample.pick(([1, 1], [2, 2])))
    else:
        sample.node(sample.pick(("MaxPool", "AveragePool")), [padded], kernel_shape=[3, 3], strides=[2, 2])


@generator("Softmax", form="attention", weight=16, precision=Precision.APPROXIMATE, oldest=11)
def attention(sample: Sample) -> None:
    """`softmax(q k^T / sqrt(d) + mask) v` in 4-D or 3-D, keys transposed in the graph or before."""
    dtype = sample.dtype(_COMPUTED)
    heads = (sample.batch(), sample.pick((1, 2, 4))) if sample.chance(0.7) else (sample.pick((1, 2, 4)),)
    length, size = sample.dim(2, 6), sample.pick((4, 8))
    q, k, v = (sample.input(sample.normal((*heads, length, size), dtype), stem) for stem in "qkv")
    rank = len(heads) + 2
    (transposed,) = sample.node("Transpose", [k], perm=[*range(rank - 2), rank - 1, rank - 2])
    (scores,) = sample.node("MatMul", [q, transposed])
    op, factor = sample.pick((("Div", size**0.5), ("Mul", size**-0.5)))
    (scores,) = sample.node(op, [scores, sample.constant(np.array(factor, dtype), "factor")])
    if sample.chance(0.4):
        mask = np.triu(np.full((length, length), -1e4), 1).astype(dtype)
        (scores,) = sample.node("Add", [scores, sample.operand(mask, "mask", constant=0.5)])
    (weights,) = sample.emit(scores, axis=sample.pick((-1, rank - 1)))
    sample.node("MatMul", [weights, v])


def _mean(sample: Sample, value: str) -> str:
    if sample.op == "ReduceMean" and sample.opset >= _AXES_ARE_INPUT:
        return sample.node("ReduceMean", [value, sample.initializer(np.array([-1]), "axes")])[0]
    return sample.node("ReduceMean", [value], axes=[-1], keepdims=sample.pick((None, 1)))[0]


@generator("ReduceMean", form="layernorm", weight=14, precision=Precision.ACCUMULATED, oldest=11)
def layer_norm(sample: Sample) -> None:
    """Layer normalisation before opset 17, or RMS normalisation."""
    dtype = sample.dtype(_COMPUTED)
    shape = sample.shape(2, 4, least=4)
    centred = x = sample.input(sample.normal(shape, dtype))
    if sample.chance(0.65):
        (centred,) = sample.node("Sub", [x, _mean(sample, x)])
    (square,) = sample.node("Pow", [centred, sample.constant(np.array(2.0, dtype), "two")])
    (shifted,) = sample.node("Add", [_mean(sample, square), sample.constant(np.array(1e-5, dtype), "epsilon")])
    (root,) = sample.node("Sqrt", [shifted])
    (y,) = sample.node("Div", [centred, root])
    (y,) = sample.node("Mul", [y, sample.initializer(sample.uniform(shape[-1:], 0.5, 1.5, dtype), "weight")])
    if sample.chance(0.7):
        sample.node("Add", [y, sample.initializer(sample.normal(shape[-1:], dtype), "bias")])


@generator("InstanceNormalization", form="groupnorm", weight=10, precision=Precision.ACCUMULATED)
def group_norm(sample: Sample) -> None:
    """Group normalisation as PyTorch exports it: the groups as channels of an instance normalisation."""
    groups = sample.pick((1, 2, 4))
    shape = (sample.batch(), groups * sample.pick((1, 2, 3)), sample.dim(2, 6), sample.dim(2, 6))
    x = sample.input(sample.normal(shape))
    (grouped,) = sample.node("Reshape", [x, sample.constant(np.array([0, groups, -1]), "groups")])
    ones, zeros = sample.constant(np.ones(groups, np.float32)), sample.constant(np.zeros(groups, np.float32))
    (normal,) = sample.emit(grouped, ones, zeros, epsilon=1e-5)
    (y,) = sample.node("Reshape", [normal, sample.constant(np.array(shape), "shape")])
    (y,) = sample.node("Mul", [y, sample.initializer(sample.uniform((shape[1], 1, 1), 0.5, 1.5), "weight")])
    sample.node("Add", [y, sample.initializer(sample.normal((shape[1], 1, 1)), "bias")])


@generator("Gemm", form="head", weight=14, precision=Precision.ACCUMULATED)
def head(sample: Sample) -> None:
    """The classifier: images flattened or pooled, then a linear layer, an activation or a softmax."""
    batch, channels, size = sample.batch(), sample.channels(8), sample.pick((1, 2, 3, 4))
    x = sample.input(sample.normal((batch, channels, size, size)))
    pooled = sample.chance(0.4)
    if pooled:
        (x,) = sample.node("GlobalAveragePool", [x])
    features = channels if pooled else channels * size * size
    form = sample.pick(("Flatten", "Reshape"))
    if form == "Flatten":
        (flat,) = sample.node("Flatten", [x])
    else:
        (flat,) = sample.node("Reshape", [x, sample.constant(np.array([-1, features]), "shape")])
    out = sample.dim(2, 10)
    weight = sample.initializer(sample.normal((out, features), scale=0.3), "weight")
    (y,) = sample.emit(flat, weight, sample.initializer(sample.normal((out,)), "bias"), alpha=1.0, beta=1.0, transB=1)
    if sample.chance(0.5):
        sample.node(*sample.pick((("Relu", [y]), ("Sigmoid", [y]))))


@generator("Transpose", form="shuffle", weight=16, precision=Precision.EXACT)
def shuffle(sample: Sample) -> None:
    """Reshape, Transpose, Reshape: channel shuffle, window partition, merging of attention heads."""
    batch, inner = sample.batch(), sample.pick((2, 3, 4))
    form = sample.pick(("channels", "windows", "heads"))
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
    x = sample.input(sample.normal(shape, sample.dtype(_COMPUTED)))
    (split,) = sample.node("Reshape", [x, sample.constant(np.array(middle), "shape")])
    (moved,) = sample.emit(split, perm=perm)
    sample.node("Reshape", [moved, sample.constant(np.array(last), "shape")])


@generator("ReduceL2", form="normalize", weight=10, precision=Precision.ARITHMETIC, oldest=11)
def normalize(sample: Sample) -> None:
    """`torch.nn.functional.normalize`: ReduceL2, Clip, Expand to the input's Shape, Div."""
    dtype = sample.dtype(_COMPUTED)
    x = sample.input(sample.normal(sample.shape(2, 4, least=2), dtype))
    axis = sample.pick((1, -1))
    if sample.opset >= _AXES_ARE_INPUT:
        (norm,) = sample.emit(x, sample.constant(np.array([axis]), "axes"), keepdims=1)
    else:
        (norm,) = sample.emit(x, axes=[axis], keepdims=1)
    if sample.opset > _OPERANDS_OF_PAD:
        (norm,) = sample.node("Clip", [norm, sample.constant(np.array(1e-7, dtype), "least")])
    (sizes,) = sample.node("Shape", [x])
    (expanded,) = sample.node("Expand", [norm, sizes])
    sample.node("Div", [x, expanded])


@generator("Resize", form="like", weight=12, precision=Precision.ARITHMETIC, oldest=11)
def resize_like(sample: Sample) -> None:
    """To the size of another feature map: Shape, Slice, Concat, Resize by sizes."""
    shape = (sample.batch(), sample.channels(8), sample.dim(2, 6), sample.dim(2, 6))
    x = sample.input(sample.normal(shape))
    other = sample.input(sample.normal((*shape[:2], shape[2] * 2, shape[3] * 2)), "other")
    parts = []
    for source, start, end in ((x, 0, 2), (other, 2, 4)):
        (sizes,) = sample.node("Shape", [source])
        bounds = [sample.constant(np.array([each]), "bound") for each in (start, end, 0)]
        parts += sample.node("Slice", [sizes, *bounds])
    (target,) = sample.node("Concat", parts, axis=0)
    mode, coordinates = sample.pick((("nearest", "asymmetric"), ("linear", "align_corners"), ("linear", "half_pixel")))
    empty = ["", ""] if sample.version >= 13 else [sample.initializer(np.zeros(0, np.float32), "empty")] * 2  # noqa: PLR2004
    rounding = "floor" if mode == "nearest" else None
    sample.emit(x, *empty, target, mode=mode, coordinate_transformation_mode=coordinates, nearest_mode=rounding)


@generator("Expand", form="torch", weight=8, precision=Precision.EXACT, oldest=9)
def expand_like_torch(sample: Sample) -> None:
    """`x.expand(-1, n, -1)` as PyTorch exports it: -1 in the target replaced by one through Equal and Where."""
    goal = sample.shape(2, 4)
    axis = sample.integer(0, len(goal) - 1)
    start = tuple(1 if index == axis else size for index, size in enumerate(goal))
    target = np.array([size if index == axis else -1 for index, size in enumerate(goal)])
    x = sample.input(sample.normal(start, sample.dtype(_COMPUTED)))
    sizes = sample.constant(target, "sizes")
    (keeps,) = sample.node("Equal", [sizes, sample.constant(np.full(len(goal), -1), "minus_one")])
    (chosen,) = sample.node("Where", [keeps, sample.constant(np.ones(len(goal), np.int64), "ones"), sizes])
    sample.emit(x, chosen)


@generator("QuantizeLinear", form="conv", weight=12, precision=Precision.ACCUMULATED)
def quantized_convolution(sample: Sample) -> None:
    """Q and DQ of the activation, DQ of the weight, the convolution: what quantisers write."""
    into, out = sample.channels(8), sample.channels(8)
    shape = (sample.batch(), into, sample.dim(3, 7), sample.dim(3, 7))
    steps = sample.random.integers(-100, 120, shape) + sample.random.uniform(-0.4, 0.4, shape)
    kind = sample.pick(("uint8", "int8"))
    scale = sample.initializer(np.array(0.02, np.float32), "x_scale")
    zero = sample.initializer(np.array(110 if kind == "uint8" else 0, kind), "x_zero_point")
    (quantized,) = sample.emit(sample.input((steps * 0.02).astype(np.float32)), scale, zero)
    (real,) = sample.node("DequantizeLinear", [quantized, scale, zero])
    weight = sample.initializer(sample.uniform((out, into, 3, 3), -127, 127, "int8"), "weight")
    weight_scale = sample.initializer(np.array(0.01, np.float32), "w_scale")
    (kernel,) = sample.node(
        "DequantizeLinear", [weight, weight_scale, sample.initializer(np.array(0, np.int8), "w_zero")]
    )
    sample.node("Conv", [real, kernel], pads=[1, 1, 1, 1])
