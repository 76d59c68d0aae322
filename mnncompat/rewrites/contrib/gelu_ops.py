"""Activations of ONNX Runtime's own domain: variants of Gelu; `contrib-op-to-onnx` calls them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts


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
    )


def tanh_gelu(new: SubgraphBuilder, x: Value) -> Value:
    """Gelu by its approximation with Tanh."""
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return x * 0.5 * (new.op("Tanh", inner) + 1.0)


def erf_gelu(new: SubgraphBuilder, x: Value) -> Value:
    """Gelu by its definition."""
    return x * 0.5 * (new.op("Erf", x * math.sqrt(0.5)) + 1.0)


def _fast_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x, narrow = in_float32(new, new.input(0))
    return [narrow(tanh_gelu(new, x + in_float32(new, new.input(1))[0] if new.has(1) else x))]


def _bias_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x, narrow = in_float32(new, new.input(0))
    return [narrow(erf_gelu(new, x + in_float32(new, new.input(1))[0]))]


def _quick_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    (x, narrow), alpha = in_float32(new, new.input(0)), node.attribute("alpha")
    return [narrow(x * new.op("Sigmoid", x * (1.702 if alpha is None else float(alpha))))]


def _bias_split(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """BiasSplitGelu: the left half of the columns times Gelu of the right half."""
    x, narrow = in_float32(new, new.input(0))
    value = x + in_float32(new, new.input(1))[0]
    size = value.dim(-1)
    if size % 2:
        raise NotApplicable(f"{size} columns have no halves")
    left, right = new.split(value, [size // 2, size // 2], value.rank - 1)
    return [narrow(left * erf_gelu(new, right))]


def _gemm_gelu(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    """GemmFastGelu, a product of matrices with FastGelu behind it."""
    (x, narrow), weight = in_float32(new, new.input(0)), in_float32(new, new.input(1))[0]
    value = x @ weight
    return [narrow(tanh_gelu(new, value + in_float32(new, new.input(2))[0] if new.has(2) else value))]


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "BiasGelu": _bias_gelu,
    "BiasSplitGelu": _bias_split,
    "FastGelu": _fast_gelu,
    "GemmFastGelu": _gemm_gelu,
    "QuickGelu": _quick_gelu,
}
"""How each is emitted, by op type."""
