"""Products and convolutions of ONNX Runtime's own domain with a factor, a sum or an activation in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    if activation not in ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid", "Clip"):
        raise NotApplicable(f"the activation {activation} is not known")
    if activation == "Clip":
        low, high = parameters.get("params", [None, None])
        return new.clip(value, low, high)
    if "params" in parameters:
        names = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}.get(activation, ())
        parameters = dict(zip(names, parameters["params"], strict=False))
    return new.op(activation, value, **parameters)


def _convolution(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    operands = [new.input(0), new.input(1), new.input(2) if new.has(2) else None]
    value = new.op("Conv", *operands, **_given(node, *names))
    if new.has(3):
        value = value + new.input(3)
    parameters = {"params": list(node.attribute("activation_params"))} if node.given("activation_params") else {}
    return [_activated(node, new, value, parameters)]


def _matrix_product(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    if node.attribute("transBatchA") or node.attribute("transBatchB"):
        raise NotApplicable("transBatchA or transBatchB is 1")
    operands = [
        _last_two_swapped(new, new.input(position)) if node.attribute(name) else new.input(position)
        for position, name in enumerate(("transA", "transB"))
    ]
    value = operands[0] @ operands[1]
    alpha = node.attribute("alpha")
    return [value if alpha in (None, 1.0) else value * float(alpha)]


def _last_two_swapped(new: SubgraphBuilder, value: Value) -> Value:
    last = value.rank - 1
    if last < 1:
        return value
    return new.transpose(value, [*range(last - 1), last, last - 1])


def _gemm(node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
    operands = [new.input(0), new.input(1), new.input(2) if new.has(2) else None]
    value = new.op("Gemm", *operands, **_given(node, "alpha", "beta", "transA", "transB"))
    named = {"activation_alpha": "alpha", "activation_beta": "beta"}
    parameters = {name: node.attribute(given) for given, name in named.items() if node.given(given)}
    return [_activated(node, new, value, parameters)]


def _given(node: NodeFacts, *names: str) -> dict[str, Any]:
    return {name: node.attribute(name) for name in names if node.given(name)}


EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    "FusedConv": _convolution,
    "FusedGemm": _gemm,
    "FusedMatMul": _matrix_product,
}
"""How each is emitted, by op type."""
