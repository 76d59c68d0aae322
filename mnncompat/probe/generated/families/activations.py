"""Activations behind and made of other operators, as graphs hold them: converters fuse these."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_ACTIVATED = {"float32": 92.0, "float16": 8.0}
_OPERANDS_OF_CLIP = 11


def activation(draw: Draw, value: str, dtype: np.dtype[np.float32]) -> str:
    """Add an activation: ReLU, ReLU6, leaky ReLU, SiLU, sigmoid."""
    form = draw.weighted({"Relu": 5.0, "relu6": 3.0, "LeakyRelu": 1.0, "silu": 2.0, "Sigmoid": 1.0})
    if form == "relu6":
        if draw.opset < _OPERANDS_OF_CLIP:
            return draw.node("Clip", [value], min=0.0, max=6.0)[0]
        limits = [draw.constant(np.array(limit, dtype), "limit") for limit in (0, 6)]
        return draw.node("Clip", [value, *limits])[0]
    if form == "silu":
        (gate,) = draw.node("Sigmoid", [value])
        return draw.node("Mul", [value, gate])[0]
    return draw.node(form, [value], alpha=0.1 if form == "LeakyRelu" else None)[0]


@generator("Erf", form="gelu", weight=12, precision=Precision.APPROXIMATE)
def gelu(draw: Draw) -> None:
    """GELU before opset 20: `x * (erf(x / sqrt(2)) + 1) * 0.5`, the half at either end."""
    dtype = draw.dtype(_ACTIVATED)
    root, one, half = (draw.constant(np.array(each, dtype), "c") for each in (2**0.5, 1.0, 0.5))
    x = draw.input(draw.normal(draw.shape(2, 4), dtype))
    (scaled,) = draw.node("Div", [x, root])
    (erf,) = draw.emit(scaled)
    (shifted,) = draw.node("Add", [erf, one])
    if draw.chance(0.7):
        (product,) = draw.node("Mul", [x, shifted])
        draw.node("Mul", [product, half])
    else:
        (halved,) = draw.node("Mul", [x, half])
        draw.node("Mul", [halved, shifted])


@generator("Sigmoid", form="silu", weight=10, precision=Precision.APPROXIMATE)
@generator("HardSigmoid", form="hardswish", weight=8, precision=Precision.ARITHMETIC)
def gated(draw: Draw) -> None:
    """A value times its gate, in either order."""
    x = draw.input(draw.uniform(draw.shape(2, 4), -5, 5, draw.dtype(_ACTIVATED)))
    (gate,) = draw.emit(x, alpha=1 / 6 if draw.op == "HardSigmoid" else None)
    draw.node("Mul", [x, gate] if draw.chance(0.7) else [gate, x])


@generator("Softplus", form="mish", weight=8, precision=Precision.APPROXIMATE)
def mish(draw: Draw) -> None:
    """`x * tanh(softplus(x))`."""
    x = draw.input(draw.normal(draw.shape(2, 4), draw.dtype(_ACTIVATED), 2.0))
    (positive,) = draw.emit(x)
    (gate,) = draw.node("Tanh", [positive])
    draw.node("Mul", [x, gate])


@generator("Clip", form="hardswish", weight=8, precision=Precision.ARITHMETIC)
def hard_swish(draw: Draw) -> None:
    """`x * clip(x + 3, 0, 6) / 6`, what hard swish was before opset 14."""
    dtype = draw.dtype(_ACTIVATED)
    three, six = (draw.constant(np.array(each, dtype), "c") for each in (3.0, 6.0))
    x = draw.input(draw.uniform(draw.shape(2, 4), -5, 5, dtype))
    (shifted,) = draw.node("Add", [x, three])
    if draw.version < _OPERANDS_OF_CLIP:
        (gate,) = draw.emit(shifted, min=0.0, max=6.0)
    else:
        limits = [draw.constant(np.array(each, dtype), "limit") for each in (0.0, 6.0)]
        (gate,) = draw.emit(shifted, *limits)
    (product,) = draw.node("Mul", [x, gate])
    draw.node("Div", [product, six])


@generator("HardSigmoid", form="excitation", weight=8, precision=Precision.ACCUMULATED)
def excitation(draw: Draw) -> None:
    """Squeeze and excitation: pool, two pointwise convolutions, a gate on the channels."""
    channels, inner = draw.channels(16), draw.pick((1, 2, 4))
    x = draw.input(draw.normal((draw.batch(), channels, draw.dim(2, 7), draw.dim(2, 7))))
    (pooled,) = draw.node("GlobalAveragePool", [x])
    weights = [draw.initializer(draw.normal((*shape, 1, 1))) for shape in ((inner, channels), (channels, inner))]
    (squeezed,) = draw.node("Conv", [pooled, weights[0]], kernel_shape=[1, 1])
    (active,) = draw.node("Relu", [squeezed])
    (expanded,) = draw.node("Conv", [active, weights[1]], kernel_shape=[1, 1])
    (gate,) = draw.emit(expanded)
    draw.node("Mul", [x, gate])
