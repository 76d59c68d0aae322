"""Activations and normalisations of ONNX Runtime's own domain: variants of Gelu, and norms of a sum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_LAYER_NORMALIZATION = 17


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 17, "com.microsoft": 1'
    return (
        rewritten(
            "fast gelu with bias",
            "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.FastGelu(x, b) }",
            becomes="3 Add, 6 Mul, Tanh",
            imports=ms,
            b=(4,),
        ),
        rewritten(
            "bias gelu",
            "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.BiasGelu(x, b) }",
            becomes="2 Add, Erf, 3 Mul",
            imports=ms,
            b=(4,),
        ),
        rewritten(
            "quick gelu",
            "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.QuickGelu(x) }",
            becomes="2 Mul, Sigmoid",
            imports=ms,
        ),
        rewritten(
            "normalisation of a sum",
            """(float[2,3,4] x, float[2,3,4] s) => (float[2,3,4] y) {
            y = com.microsoft.SkipLayerNormalization<epsilon=1e-5>(x, s, g, b, c) }""",
            becomes="2 Add, LayerNormalization",
            imports=ms,
            g=(4,),
            b=(4,),
            c=(4,),
        ),
    )


def _fast_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x = new.input(0) + new.input(1) if new.has(1) else new.input(0)
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return [x * 0.5 * (new.op("Tanh", inner) + 1.0)]


def _bias_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x = new.input(0) + new.input(1)
    return [x * 0.5 * (new.op("Erf", x * math.sqrt(0.5)) + 1.0)]


def _quick_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    x, alpha = new.input(0), node.attribute("alpha")
    return [x * new.op("Sigmoid", x * (1.702 if alpha is None else float(alpha)))]


def _skip_normalization(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    total = new.input(0) + new.input(1)
    if new.has(4):
        total = total + new.input(4)
    if new.is_output_used(1) or new.is_output_used(2):
        raise NotApplicable("the mean or the inverse deviation is used")
    bias = new.input(3) if new.has(3) else None
    return [_normalized(node, new, total, new.input(2), bias), None, None, total]


def _normalized(node: NodeFacts, new: SubgraphBuilder, x: Value, scale: Value, bias: Value | None) -> Value:
    epsilon = node.attribute("epsilon")
    epsilon = 1e-12 if epsilon is None else float(epsilon)
    if new.opset >= _LAYER_NORMALIZATION:
        return new.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)
    centred = x - new.reduce("ReduceMean", x, [-1])
    deviation = new.op("Sqrt", new.reduce("ReduceMean", centred * centred, [-1]) + epsilon)
    value = centred / deviation * scale
    return value if bias is None else value + bias


def _skip_simplified(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    total = new.input(0) + new.input(1)
    if new.has(3):
        total = total + new.input(3)
    if new.is_output_used(1) or new.is_output_used(2):
        raise NotApplicable("the mean or the inverse deviation is used")
    epsilon = node.attribute("epsilon")
    size = new.op(
        "Sqrt", new.reduce("ReduceMean", total * total, [-1]) + (1e-12 if epsilon is None else float(epsilon))
    )
    return [total / size * new.input(2), None, None, total]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified,
}
"""How each is emitted, by op type."""
