"""Products and convolutions of ONNX Runtime's own domain with a factor, a sum or an activation in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mnncompat.rewrites.contrib.precision import in_float32
from mnncompat.rewrites.core.examples import rewritten
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_MATRIX = 2
_ACTIVATIONS = frozenset(
    ("Clip", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh")
) | {"ThresholdedRelu"}


def examples() -> tuple[Example, ...]:
    """One of each kind."""
    ms = '"": 17, "com.microsoft": 1'
    return (
        rewritten(
            "convolution with sum and activation",
            """(float[1,2,5,5] x, float[1,3,5,5] z) => (float[1,3,5,5] y) {
            y = com.microsoft.FusedConv<activation="Relu", pads=[1,1,1,1], kernel_shape=[3,3]>(x, w, b, z) }""",
            becomes="Add, Conv, Relu",
            imports=ms,
            w=(3, 2, 3, 3),
            b=(3,),
        ),
        rewritten(
            "matrix product",
            """(float[2,3,4] a, float[2,5,4] b) => (float[2,3,5] y) {
            y = com.microsoft.FusedMatMul<alpha=0.5, transB=1>(a, b) }""",
            becomes="MatMul, Mul, Transpose",
            imports=ms,
        ),
        rewritten(
            "gemm",
            """(float[3,4] a) => (float[3,5] y) {
            y = com.microsoft.FusedGemm<activation="LeakyRelu", activation_alpha=0.2, transB=1>(a, w, b) }""",
            becomes="Gemm, LeakyRelu",
            imports=ms,
            w=(5, 4),
            b=(5,),
        ),
    )


def _activated(node: NodeFacts, new: SubgraphBuilder, value: Value, parameters: dict[str, Any]) -> Value:
    activation = node.attribute("activation")
    if not activation:
        return value
    if activation not in _ACTIVATIONS:
        raise NotApplicable(f"the activation {activation} is not known")
    if activation == "Clip":
        low, high = parameters.get("params", [None, None])
        return new.clip(value, low, high)
    if "params" in parameters:
        names = ("alpha", "beta") if activation == "HardSigmoid" else ("alpha",)
        parameters = dict(zip(names, parameters["params"], strict=False))
    return new.op(activation, value, **parameters)


def _convolution(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    value = _convolved(node, new, in_float32(new, new.input(0))[0])
    if new.has(3):
        value = value + in_float32(new, new.input(3))[0]
    return [in_float32(new, new.input(0))[1](_activated(node, new, value, _parameters(node)))]


def _convolved(node: NodeFacts, new: SubgraphBuilder, x: Value) -> Value:
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    operands = [in_float32(new, new.input(position))[0] if new.has(position) else None for position in (1, 2)]
    return new.op("Conv", x, *operands, **_given(node, *names))


def _parameters(node: NodeFacts) -> dict[str, Any]:
    return {"params": list(node.attribute("activation_params"))} if node.given("activation_params") else {}


def _last_convolution(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """NhwcConv and NhwcFusedConv: the channels come last, in the weights they come second."""
    x, narrow = in_float32(new, new.input(0))
    rank = x.rank
    value = _convolved(node, new, new.transpose(x, [0, rank - 1, *range(1, rank - 1)]))
    value = new.transpose(value, [0, *range(2, rank), 1])
    if new.has(3):
        value = value + in_float32(new, new.input(3))[0]
    return [narrow(_activated(node, new, value, _parameters(node)))]


def _matrix_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    """FusedMatMul: `transBatchX` moves the first axis behind the batch, before `transX` exchanges the last two."""
    narrow = in_float32(new, new.input(0))[1]
    operands = []
    for position, letter in enumerate("AB"):
        value = in_float32(new, new.input(position))[0]
        if not value.rank:
            raise NotApplicable(f"operand {position} is a scalar, which no matrix product takes")
        order = list(range(value.rank))
        if node.attribute(f"transBatch{letter}") and value.rank > _MATRIX:
            order = [*order[1:-1], 0, order[-1]]
        if node.attribute(f"trans{letter}") and value.rank >= _MATRIX:
            order[-2:] = order[:-3:-1]
        operands.append(value if order == sorted(order) else new.transpose(value, order))
    value = operands[0] @ operands[1]
    alpha = node.attribute("alpha")
    return [narrow(value if alpha in (None, 1.0) else value * float(alpha))]


def _gemm(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    narrow = in_float32(new, new.input(0))[1]
    operands = [in_float32(new, new.input(position))[0] if new.has(position) else None for position in range(3)]
    value = new.op("Gemm", *operands, **_given(node, "alpha", "beta", "transA", "transB"))
    named = {"activation_alpha": "alpha", "activation_beta": "beta"}
    parameters = {name: node.attribute(given) for given, name in named.items() if node.given(given)}
    return [narrow(_activated(node, new, value, parameters))]


def _given(node: NodeFacts, *names: str) -> dict[str, Any]:
    return {name: node.attribute(name) for name in names if node.given(name)}


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "FusedConv": _convolution,
    "FusedGemm": _gemm,
    "FusedMatMul": _matrix_product,
    "NhwcConv": _last_convolution,
    "NhwcFusedConv": _last_convolution,
    "TransposeMatMul": _matrix_product,
}
"""How each is emitted, by op type."""
