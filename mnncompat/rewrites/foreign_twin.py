"""Operators of other domains, written with ONNX's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.expand_function import expanded
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import NotApplicable, Sketch, Value

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts

_DOMAIN = "com.microsoft"
# Operators that came into ONNX as they were.
_TWINS = ("DequantizeLinear", "GatherND", "GridSample", "Pad", "QuantizeLinear", "Range", "Trilu")
_LAYER_NORMALIZATION = 17


class ForeignTwin(NodeRewrite):
    """Write an operator of another domain with ONNX's own.

    **What.** The operators that ONNX Runtime's optimizer and its tools write: FusedConv, FusedMatMul, FusedGemm,
    BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization, SkipSimplifiedLayerNormalization, and those that ONNX took
    over as they were (Trilu, GatherND, Pad, Range, QuantizeLinear, DequantizeLinear, GridSample): domain com.microsoft.
    Operators of ai.onnx.preview that ONNX defines by others (FlexAttention).

    **Why.** MNN's converter ignores domains: it refuses what it does not know by name, and runs the rest as ONNX's
    operator of that name.

    **Before and after**::

        y = com.microsoft::FusedConv<activation = "Relu">(x, w, b)
        y = Relu(Conv(x, w, b))

    **Algebra.** ONNX Runtime's documentation defines each by ONNX's operators.

    **Refuses** other operators and domains, activations that are no ONNX operator, and transposed batches.

    **Source.** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """

    code = "MNN807"
    name = "foreign-twin"
    summary = "written with ONNX's own operators"
    op_types = ()

    def build(self, node: NodeFacts, new: Sketch) -> Sequence[Value | None]:
        """Draw the twin."""
        op, domain = node.node.op_type, node.node.domain
        if domain.startswith("ai.onnx."):
            return expanded(node, new)
        if domain != _DOMAIN or not (op in _DRAW or op in _TWINS):
            raise NotApplicable(f"{domain}::{op} has no twin in ONNX that is known")
        if op in _TWINS:
            return new.again()
        return _DRAW[op](node, new)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One of each kind, and one without a twin."""
        ms = '"": 17, "com.microsoft": 1'
        return (
            taken(
                "convolution with sum and activation",
                """(float[1,2,5,5] x, float[1,3,5,5] z) => (float[1,3,5,5] y) {
                y = com.microsoft.FusedConv<activation="Relu", pads=[1,1,1,1], kernel_shape=[3,3]>(x, w, b, z) }""",
                imports=ms,
                w=(3, 2, 3, 3),
                b=(3,),
            ),
            taken(
                "matrix product",
                """(float[2,3,4] a, float[2,5,4] b) => (float[2,3,5] y) {
                y = com.microsoft.FusedMatMul<alpha=0.5, transB=1>(a, b) }""",
                imports=ms,
            ),
            taken(
                "gemm",
                """(float[3,4] a) => (float[3,5] y) {
                y = com.microsoft.FusedGemm<activation="LeakyRelu", activation_alpha=0.2, transB=1>(a, w, b) }""",
                imports=ms,
                w=(5, 4),
                b=(5,),
            ),
            taken(
                "fast gelu with bias",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.FastGelu(x, b) }",
                imports=ms,
                b=(4,),
            ),
            taken(
                "bias gelu",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.BiasGelu(x, b) }",
                imports=ms,
                b=(4,),
            ),
            taken(
                "quick gelu",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.QuickGelu(x) }",
                imports=ms,
            ),
            taken(
                "normalisation of a sum",
                """(float[2,3,4] x, float[2,3,4] s) => (float[2,3,4] y) {
                y = com.microsoft.SkipLayerNormalization<epsilon=1e-5>(x, s, g, b, c) }""",
                imports=ms,
                g=(4,),
                b=(4,),
                c=(4,),
            ),
            taken("same in ONNX", "(float[3,3] x) => (float[3,3] y) { y = com.microsoft.Trilu(x) }", imports=ms),
            left(
                "no twin",
                "has no twin",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.BiasDropout(x, b) }",
                imports=ms,
                b=(4,),
            ),
            left("ONNX's own", "", "(float[2,4] x) => (float[2,4] y) { y = Relu(x) }"),
        )


def _given(node: NodeFacts, *names: str) -> dict[str, Any]:
    return {name: node.attribute(name) for name in names if node.given(name)}


def _activated(node: NodeFacts, new: Sketch, value: Value, parameters: dict[str, Any]) -> Value:
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


def _convolution(node: NodeFacts, new: Sketch) -> list[Value | None]:
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    operands = [new.input(0), new.input(1), new.input(2) if new.has(2) else None]
    value = new.op("Conv", *operands, **_given(node, *names))
    if new.has(3):
        value = value + new.input(3)
    parameters = {"params": list(node.attribute("activation_params"))} if node.given("activation_params") else {}
    return [_activated(node, new, value, parameters)]


def _matrix_product(node: NodeFacts, new: Sketch) -> list[Value | None]:
    if node.attribute("transBatchA") or node.attribute("transBatchB"):
        raise NotApplicable("transBatchA or transBatchB is 1")
    operands = [
        _last_two_swapped(new, new.input(position)) if node.attribute(name) else new.input(position)
        for position, name in enumerate(("transA", "transB"))
    ]
    value = operands[0] @ operands[1]
    alpha = node.attribute("alpha")
    return [value if alpha in (None, 1.0) else value * float(alpha)]


def _last_two_swapped(new: Sketch, value: Value) -> Value:
    last = value.rank - 1
    if last < 1:
        return value
    return new.transpose(value, [*range(last - 1), last, last - 1])


def _gemm(node: NodeFacts, new: Sketch) -> list[Value | None]:
    operands = [new.input(0), new.input(1), new.input(2) if new.has(2) else None]
    value = new.op("Gemm", *operands, **_given(node, "alpha", "beta", "transA", "transB"))
    named = {"activation_alpha": "alpha", "activation_beta": "beta"}
    parameters = {name: node.attribute(given) for given, name in named.items() if node.given(given)}
    return [_activated(node, new, value, parameters)]


def _fast_gelu(node: NodeFacts, new: Sketch) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x = new.input(0) + new.input(1) if new.has(1) else new.input(0)
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return [x * 0.5 * (new.op("Tanh", inner) + 1.0)]


def _bias_gelu(node: NodeFacts, new: Sketch) -> list[Value | None]:  # noqa: ARG001 - a table's signature
    x = new.input(0) + new.input(1)
    return [x * 0.5 * (new.op("Erf", x * math.sqrt(0.5)) + 1.0)]


def _quick_gelu(node: NodeFacts, new: Sketch) -> list[Value | None]:
    x, alpha = new.input(0), node.attribute("alpha")
    return [x * new.op("Sigmoid", x * (1.702 if alpha is None else float(alpha)))]


def _skip_normalization(node: NodeFacts, new: Sketch) -> list[Value | None]:
    total = new.input(0) + new.input(1)
    if new.has(4):
        total = total + new.input(4)
    if new.wants(1) or new.wants(2):
        raise NotApplicable("the mean or the inverse deviation is used")
    bias = new.input(3) if new.has(3) else None
    return [_normalized(node, new, total, new.input(2), bias), None, None, total]


def _normalized(node: NodeFacts, new: Sketch, x: Value, scale: Value, bias: Value | None) -> Value:
    epsilon = node.attribute("epsilon")
    epsilon = 1e-12 if epsilon is None else float(epsilon)
    if new.opset >= _LAYER_NORMALIZATION:
        return new.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)
    centred = x - new.reduce("ReduceMean", x, [-1])
    deviation = new.op("Sqrt", new.reduce("ReduceMean", centred * centred, [-1]) + epsilon)
    value = centred / deviation * scale
    return value if bias is None else value + bias


def _skip_simplified(node: NodeFacts, new: Sketch) -> list[Value | None]:
    total = new.input(0) + new.input(1)
    if new.has(3):
        total = total + new.input(3)
    if new.wants(1) or new.wants(2):
        raise NotApplicable("the mean or the inverse deviation is used")
    epsilon = node.attribute("epsilon")
    size = new.op(
        "Sqrt", new.reduce("ReduceMean", total * total, [-1]) + (1e-12 if epsilon is None else float(epsilon))
    )
    return [total / size * new.input(2), None, None, total]


_DRAW: dict[str, Callable[[NodeFacts, Sketch], list[Value | None]]] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _convolution,
    "FusedGemm": _gemm,
    "FusedMatMul": _matrix_product,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified,
}
