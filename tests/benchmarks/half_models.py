"""Models for the hit rate of predictions: built here from seeds, from onnx's tests, and trained ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DATA = Path(onnx.__file__).parent / "backend/test/data"
LIGHT = ("squeezenet", "shufflenet", "bvlc_alexnet", "inception_v1", "inception_v2", "densenet121")
CONVERTED = (
    "AvgPool2d",
    "BatchNorm2d_eval",
    "Conv2d_padding",
    "Conv1d_groups",
    "ConvTranspose2d",
    "GLU",
    "Linear",
    "LogSoftmax",
    "PoissonNLLLLoss_no_reduce",
    "Softplus",
    "Softsign",
    "Tanh",
)


class Net:
    """A model that grows node by node."""

    def __init__(self, seed: int, shape: list[int]) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shape = shape
        self.at = "x"

    def weight(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> str:
        array = self.random.standard_normal(shape) * scale + mean
        return self.constant(array.astype(np.float32))

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self.at = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [self.at], name=self.at, **attributes))
        return self.at

    def conv(
        self, channels: int, filters: int, kernel: int = 3, stride: int = 1, group: int = 1, gain: float = 1.4
    ) -> str:
        fan = channels // group * kernel * kernel
        weight = self.weight(filters, channels // group, kernel, kernel, scale=gain / fan**0.5)
        pad = kernel // 2
        return self.op("Conv", self.at, weight, strides=[stride] * 2, pads=[pad] * 4, group=group)

    def norm(self, channels: int) -> str:
        scale, bias = self.weight(channels, scale=0.2, mean=1.0), self.weight(channels, scale=0.2)
        mean, variance = self.weight(channels, scale=0.2), self.constant(np.full(channels, 0.8, np.float32))
        return self.op("BatchNormalization", self.at, scale, bias, mean, variance)

    def dense(self, before: int, after: int, gain: float = 1.0) -> str:
        return self.op("MatMul", self.at, self.weight(before, after, scale=gain / before**0.5))

    def model(self, out: list[int | str] | None = None, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(self.at, TensorProto.FLOAT, out)],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(made)
        return made


def residual(seed: int, depth: int, width: int, *, normed: bool, kernel: int = 3) -> onnx.ModelProto:
    """Residual convolutions with a head."""
    net = Net(seed, [1, 3, 32, 32])
    net.conv(3, width, 3, 2)
    for _ in range(depth):
        kept = net.at
        net.conv(width, width, kernel)
        if normed:
            net.norm(width)
        net.op("Relu", net.at)
        net.conv(width, width, kernel, gain=0.7)
        net.op("Add", net.at, kept)
    net.op("GlobalAveragePool", net.at)
    net.op("Flatten", net.at)
    net.dense(width, 10)
    return net.model([1, 10])


def separable(seed: int, depth: int, width: int) -> onnx.ModelProto:
    """Depthwise and 1x1 convolutions with hard swish."""
    net = Net(seed, [1, 3, 32, 32])
    net.conv(3, width, 3, 2)
    for _ in range(depth):
        net.conv(width, width, 3, group=width)
        net.norm(width)
        net.op("HardSwish", net.at)
        net.conv(width, width, 1)
    net.op("GlobalAveragePool", net.at)
    return net.model([1, width, 1, 1])


def transformer(seed: int, depth: int, width: int, *, gelu: bool, scale_after: bool, gain: float) -> onnx.ModelProto:
    """Attention and a feed-forward net with layer norms, on 16 tokens."""
    tokens, net = 16, Net(seed, [1, 16, width])
    for _ in range(depth):
        kept = net.at
        normed = net.op(
            "LayerNormalization", kept, net.weight(width, scale=0.1, mean=1.0), net.weight(width, scale=0.1)
        )
        parts = []
        for _ in range(3):
            net.at = normed
            parts.append(net.dense(width, width, gain))
        query, key, value = parts
        factor = net.constant(np.float32(width**-0.5))
        if not scale_after:
            query = net.op("Mul", query, factor)
        net.op("MatMul", query, net.op("Transpose", key, perm=[0, 2, 1]))
        if scale_after:
            net.op("Mul", net.at, factor)
        net.op("MatMul", net.op("Softmax", net.at, axis=-1), value)
        net.dense(width, width)
        kept = net.op("Add", net.at, kept)
        net.op("LayerNormalization", kept, net.weight(width, scale=0.1, mean=1.0), net.weight(width, scale=0.1))
        net.dense(width, 2 * width)
        if gelu:
            half = net.op("Erf", net.op("Mul", net.at, net.constant(np.float32(0.5**0.5))))
            raw = net.nodes[-2].input[0]
            grown = net.op("Add", half, net.constant(np.float32(1)))
            net.op("Mul", net.op("Mul", raw, grown), net.constant(np.float32(0.5)))
        else:
            net.op("Relu", net.at)
        net.dense(2 * width, width)
        net.op("Add", net.at, kept)
    return net.model([1, tokens, width])


def root_mean_square(seed: int, width: int, *, by_power: bool) -> onnx.ModelProto:
    """Two dense layers with RMS norms spelled out over the square of their operand."""
    net = Net(seed, [4, width])
    for _ in range(2):
        kept = net.dense(width, width, 2.0)
        axes = net.constant(np.array([-1]))
        net.op("ReduceSum", net.op("Mul", kept, kept), axes, keepdims=1)
        net.op("Add", net.op("Mul", net.at, net.constant(np.float32(1 / width))), net.constant(np.float32(1e-6)))
        if by_power:
            net.op("Mul", kept, net.op("Pow", net.at, net.constant(np.float32(-0.5))))
        else:
            net.op("Div", kept, net.op("Sqrt", net.at))
    return net.model([4, width])


def reduced(seed: int, kind: str) -> onnx.ModelProto:
    """A dense layer and a reduction with squares or exponentials."""
    net = Net(seed, [4, 64])
    net.dense(64, 64, 3.0)
    net.op(kind, net.at, axes=[1], keepdims=1)
    return net.model([4, 1])


def recurrent(seed: int, kind: str, steps: int) -> onnx.ModelProto:
    """A recurrent layer."""
    net, size, gates = Net(seed, [steps, 1, 16]), 16, {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    weights = net.weight(1, gates * size, 16, scale=0.3), net.weight(1, gates * size, size, scale=0.3)
    net.op(kind, net.at, *weights, hidden_size=size)
    return net.model([steps, 1, 1, size])


def averaged(seed: int, size: int) -> onnx.ModelProto:
    """A convolution, and the mean of a large map."""
    net = Net(seed, [1, 3, size, size])
    net.conv(3, 8)
    net.op("Relu", net.at)
    net.op("GlobalAveragePool", net.at)
    return net.model([1, 8, 1, 1])


def positions(seed: int, length: int) -> onnx.ModelProto:
    """Cumulated sums through a sine."""
    net = Net(seed, [1, length])
    net.op("Sin", net.op("CumSum", net.op("Sigmoid", net.at), net.constant(np.array(1))))
    return net.model([1, length])


BUILT: dict[str, Callable[[], onnx.ModelProto]] = {
    "residual-4x16": lambda: residual(0, 4, 16, normed=False),
    "residual-8x32-norm": lambda: residual(1, 8, 32, normed=True),
    "residual-3x64": lambda: residual(2, 3, 64, normed=False),
    "residual-12x16-norm": lambda: residual(3, 12, 16, normed=True),
    "residual-2x24-5x5": lambda: residual(4, 2, 24, normed=True, kernel=5),
    "residual-6x48-1x1": lambda: residual(5, 6, 48, normed=True, kernel=1),
    "separable-4x32": lambda: separable(6, 4, 32),
    "separable-10x64": lambda: separable(7, 10, 64),
    "transformer-2x32": lambda: transformer(8, 2, 32, gelu=True, scale_after=False, gain=1.0),
    "transformer-4x64": lambda: transformer(9, 4, 64, gelu=False, scale_after=True, gain=1.0),
    "transformer-2x128-sharp": lambda: transformer(10, 2, 128, gelu=True, scale_after=True, gain=6.0),
    "transformer-6x48": lambda: transformer(11, 6, 48, gelu=False, scale_after=False, gain=2.0),
    "rms-64": lambda: root_mean_square(12, 64, by_power=False),
    "rms-256-power": lambda: root_mean_square(13, 256, by_power=True),
    "l2": lambda: reduced(14, "ReduceL2"),
    "log-sum-exp": lambda: reduced(15, "ReduceLogSumExp"),
    "sum-square": lambda: reduced(16, "ReduceSumSquare"),
    "lstm-8": lambda: recurrent(17, "LSTM", 8),
    "gru-5": lambda: recurrent(18, "GRU", 5),
    "rnn-6": lambda: recurrent(19, "RNN", 6),
    "averaged-24": lambda: averaged(20, 24),
    "averaged-96": lambda: averaged(21, 96),
    "positions-64": lambda: positions(22, 64),
    "positions-2048": lambda: positions(23, 2048),
}


def models() -> Iterator[tuple[str, Callable[[], onnx.ModelProto]]]:
    """Name and what gives the model; every second one was not looked at while the simulation was made."""
    yield from BUILT.items()
    for name in CONVERTED:
        yield f"converted:{name}", partial(onnx.load, DATA / f"pytorch-converted/test_{name}/model.onnx")
    for name in LIGHT:
        yield f"light:{name}", partial(onnx.load, DATA / f"light/light_{name}.onnx")
