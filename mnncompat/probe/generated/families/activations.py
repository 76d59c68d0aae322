"""Activations behind and made of other operators, as graphs hold them: converters fuse these."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

_ACTIVATED = {"float32": 92.0, "float16": 8.0}
_OPERANDS_OF_CLIP = 11


def activation(sample: Sample, value: str, dtype: np.dtype[np.float32]) -> str:
    """Add an activation: ReLU, ReLU6, leaky ReLU, SiLU, sigmoid."""
    form = sample.weighted({"Relu": 5.0, "relu6": 3.0, "LeakyRelu": 1.0, "silu": 2.0, "Sigmoid": 1.0})
    if form == "relu6":
        if sample.opset < _OPERANDS_OF_CLIP:
            return sample.node("Clip", [value], min=0.0, max=6.0)[0]
        limits = [sample.constant(np.array(limit, dtype), "limit") for limit in (0, 6)]
        return sample.node("Clip", [value, *limits])[0]
    if form == "silu":
        (gate,) = sample.node("Sigmoid", [value])
        return sample.node("Mul", [value, gate])[0]
    return sample.node(form, [value], alpha=0.1 if form == "LeakyRelu" else None)[0]


@generator("Erf", form="gelu", weight=12, precision=Precision.APPROXIMATE)
def gelu(sample: Sample) -> None:
    """GELU before opset 20: `x * (erf(x / sqrt(2)) + 1) * 0.5`, the half at either end."""
    dtype = sample.dtype(_ACTIVATED)
    root, one, half = (sample.constant(np.array(each, dtype), "c") for each in (2**0.5, 1.0, 0.5))
    x = sample.input(sample.normal(sample.shape(2, 4), dtype))
    (scaled,) = sample.node("Div", [x, root])
    (erf,) = sample.emit(scaled)
    (shifted,) = sample.node("Add", [erf, one])
    if sample.chance(0.7):
        (product,) = sample.node("Mul", [x, shifted])
        sample.node("Mul", [product, half])
    else:
        (halved,) = sample.node("Mul", [x, half])
        sample.node("Mul", [halved, shifted])


@generator("Sigmoid", form="silu", weight=10, precision=Precision.APPROXIMATE)
@generator("HardSigmoid", form="hardswish", weight=8, precision=Precision.ARITHMETIC)
def gated(sample: Sample) -> None:
    """A value times its gate, in either order."""
    x = sample.input(sample.uniform(sample.shape(2, 4), -5, 5, sample.dtype(_ACTIVATED)))
    (gate,) = sample.emit(x, alpha=1 / 6 if sample.op == "HardSigmoid" else None)
    sample.node("Mul", [x, gate] if sample.chance(0.7) else [gate, x])


@generator("Softplus", form="mish", weight=8, precision=Precision.APPROXIMATE)
def mish(sample: Sample) -> None:
    """`x * tanh(softplus(x))`."""
    x = sample.input(sample.normal(sample.shape(2, 4), sample.dtype(_ACTIVATED), 2.0))
    (positive,) = sample.emit(x)
    (gate,) = sample.node("Tanh", [positive])
    sample.node("Mul", [x, gate])


@generator("Clip", form="hardswish", weight=8, precision=Precision.ARITHMETIC)
def hard_swish(sample: Sample) -> None:
    """`x * clip(x + 3, 0, 6) / 6`, what hard swish was before opset 14."""
    dtype = sample.dtype(_ACTIVATED)
    three, six = (sample.constant(np.array(each, dtype), "c") for each in (3.0, 6.0))
    x = sample.input(sample.uniform(sample.shape(2, 4), -5, 5, dtype))
    (shifted,) = sample.node("Add", [x, three])
    if sample.version < _OPERANDS_OF_CLIP:
        (gate,) = sample.emit(shifted, min=0.0, max=6.0)
    else:
        limits = [sample.constant(np.array(each, dtype), "limit") for each in (0.0, 6.0)]
        (gate,) = sample.emit(shifted, *limits)
    (product,) = sample.node("Mul", [x, gate])
    sample.node("Div", [product, six])


@generator("HardSigmoid", form="excitation", weight=8, precision=Precision.ACCUMULATED)
def excitation(sample: Sample) -> None:
    """Squeeze and excitation: pool, two pointwise convolutions, a gate on the channels."""
    channels, inner = sample.channels(16), sample.pick((1, 2, 4))
    x = sample.input(sample.normal((sample.batch(), channels, sample.dim(2, 7), sample.dim(2, 7))))
    (pooled,) = sample.node("GlobalAveragePool", [x])
    weights = [sample.initializer(sample.normal((*shape, 1, 1))) for shape in ((inner, channels), (channels, inner))]
    (squeezed,) = sample.node("Conv", [pooled, weights[0]], kernel_shape=[1, 1])
    (active,) = sample.node("Relu", [squeezed])
    (expanded,) = sample.node("Conv", [active, weights[1]], kernel_shape=[1, 1])
    (gate,) = sample.emit(expanded)
    sample.node("Mul", [x, gate])
