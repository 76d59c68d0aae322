"""Operators of other domains, written with ONNX's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mnncompat.rewrites.contrib.quantized_ops import EMITTERS as _EMIT_QUANTIZED
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.model.expand_function import expanded

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_DOMAIN = "com.microsoft"
# Operators that came into ONNX as they were.
_TWINS = ("DequantizeLinear", "GatherND", "GridSample", "Pad", "QuantizeLinear", "Range", "Trilu")
_LAYER_NORMALIZATION = 17


class ContribOpToOnnx(NodeRewrite):
    """Write an operator of another domain with ONNX's own.

    **What.** The operators that ONNX Runtime's optimizer and its tools write: FusedConv, FusedMatMul, FusedGemm,
    BiasGelu, FastGelu, QuickGelu, SkipLayerNormalization, SkipSimplifiedLayerNormalization, and those that ONNX took
    over as they were (Trilu, GatherND, Pad, Range, QuantizeLinear, DequantizeLinear, GridSample): domain com.microsoft.
    The quantised operators of the same domain, in float arithmetic: QLinearAdd, QLinearMul, QLinearSigmoid,
    QLinearLeakyRelu, QLinearSoftmax, QLinearConcat, QLinearWhere, QLinearAveragePool, QLinearGlobalAveragePool,
    QLinearConv with channels last, NhwcMaxPool, QGemm, MatMulIntegerToFloat and DynamicQuantizeMatMul. Operators of
    ai.onnx.preview that ONNX defines by others (FlexAttention).

    **Why.** MNN's converter ignores domains: it refuses what it does not know by name, and runs the rest as ONNX's
    operator of that name.

    **Before and after**::

        y = com.microsoft::FusedConv<activation = "Relu">(x, w, b)
        y = Relu(Conv(x, w, b))

        c = com.microsoft::QLinearMul(a, as, az, b, bs, bz, cs, cz)
        c = Cast(Clip(Round((Cast(a) - az) * (Cast(b) - bz) * (as * bs / cs) + cz), 0, 255), to = uint8)

    **Algebra.** ONNX Runtime's documentation defines each by ONNX's operators. What is quantised is rounded where ONNX
    Runtime's kernels for x86 round, before or after the zero point is added; measured, all elements are equal, but for
    QLinearAveragePool between equal scales that are no powers of two: there halves fall to the noise of its own sum.
    The result of QLinearSoftmax is scaled by the reciprocal of its scale rounded down, as ONNX Runtime does.

    **Refuses** other operators and domains, activations that are no ONNX operator, transposed batches, and scales for
    each row or channel where ONNX Runtime knows one for the tensor.

    **Source.** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """

    code = "MNN807"
    name = "contrib-op-to-onnx"
    summary = "written with ONNX's own operators"
    op_types = ()

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the twin."""
        op, domain = node.node.op_type, node.node.domain
        if domain.startswith("ai.onnx."):
            return expanded(node, new)
        if domain != _DOMAIN or not (op in _EMIT or op in _TWINS):
            raise NotApplicable(f"{domain}::{op} has no twin in ONNX that is known")
        if op in _TWINS:
            return new.clone_node()
        return _EMIT[op](node, new)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One of each kind, and one without a twin."""
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
            rewritten(
                "same in ONNX",
                "(float[3,3] x) => (float[3,3] y) { y = com.microsoft.Trilu(x) }",
                becomes="Trilu",
                imports=ms,
            ),
            *_quantized_examples(),
            refused(
                "no twin",
                "has no twin",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.BiasDropout(x, b) }",
                imports=ms,
                b=(4,),
            ),
            unchanged("ONNX's own", "(float[2,4] x) => (float[2,4] y) { y = Relu(x) }"),
        )


def _quantized_examples() -> tuple[Example, ...]:
    """One of each kind of quantised operator, and scales that none of them has."""
    ms = '"": 13, "com.microsoft": 1'
    a, c = "float as = {0.02}, uint8 az = {113}", "float cs = {0.05}, uint8 cz = {7}"
    b = "float bs = {0.04}, uint8 bz = {90}"
    pair = "(uint8[N,3,4] a, uint8[N,3,4] b) => (uint8[N,3,4] y)"
    return (
        rewritten(
            "sum",
            f"{pair} <{a}, {b}, {c}> {{ y = com.microsoft.QLinearAdd(a,as,az,b,bs,bz,cs,cz) }}",
            becomes="2 Add, 3 Cast, Clip, 2 Mul, Round",
            imports=ms,
        ),
        rewritten(
            "product",
            f"""(uint8[N,3,4] a) => (uint8[N,3,4] y) <{a}, uint8[4] b = {{1,90,200,255}}, {b}, {c}> {{
            y = com.microsoft.QLinearMul(a,as,az,b,bs,bz,cs,cz) }}""",
            becomes="Add, 2 Cast, Clip, 2 Mul, Round, Sub",
            imports=ms,
        ),
        rewritten(
            "quantised convolution behind a quantised sum, which tells its type",
            f"""(uint8[1,2,5,5] a, uint8[1,2,5,5] b) => (uint8[1,1,5,5] y) <{a}, {b}, {c},
            int8[1,2,1,1] w = {{100,-5}}, float ws = {{0.1}}, int8 wz = {{0}}> {{
            d = com.microsoft.QLinearAdd(a,as,az,b,bs,bz,cs,cz) y = QLinearConv(d,cs,cz,w,ws,wz,as,az) }}""",
            becomes="2 Add, 3 Cast, Clip, 2 Mul, QLinearConv, Round",
            imports=ms,
        ),
        rewritten(
            "channels last",
            f"""(uint8[1,5,5,2] a) => (uint8[1,2,2,3] y) <{a}, {c}, int8[3,2,1,1] w = {{100,-5,3,7,-90,2}},
            float[3] ws = {{0.1,0.2,0.3}}, int8[3] wz = {{0,0,0}}> {{
            d = com.microsoft.QLinearConv<channels_last=1,kernel_shape=[1,1]>(a,as,az,w,ws,wz,cs,cz)
            e = com.microsoft.NhwcMaxPool<kernel_shape=[2,2]>(d)
            y = com.microsoft.QLinearAveragePool<kernel_shape=[3,3],pads=[1,1,1,1],strides=[2,2],channels_last=1>
            (e,cs,cz,as,az) }}""",
            becomes="Add, AveragePool, 2 Cast, Clip, Div, MaxPool, Mul, QLinearConv, Round, Sub, 6 Transpose",
            imports=ms,
        ),
        rewritten(
            "means",
            f"""(uint8[1,4,6,2] a) => (uint8[1,1,1,2] y) <{a}, {c}> {{
            y = com.microsoft.QLinearGlobalAveragePool<channels_last=1>(a,as,az,cs,cz) }}""",
            becomes="Add, 2 Cast, Clip, Mul, ReduceSum, Round, Sub",
            imports=ms,
        ),
        rewritten(
            "activations and parts",
            f"""(uint8[N,3,4] a, uint8[N,3,4] b) => (uint8[N,3,8] y) <{a}, {b}, {c}> {{
            s = com.microsoft.QLinearSigmoid(a,as,az,cs,cz)
            r = com.microsoft.QLinearLeakyRelu<alpha=0.1>(b,bs,bz,as,az)
            y = com.microsoft.QLinearConcat<axis=2>(cs,cz,s,cs,cz,r,as,az) }}""",
            becomes="3 Add, 7 Cast, 3 Clip, Concat, 3 Div, LeakyRelu, 4 Mul, 3 Round, Sigmoid, 4 Sub",
            imports=ms,
        ),
        rewritten(
            "softmax of several axes",
            f"""(uint8[2,3,4] a) => (uint8[2,3,4] y) <{a}, float cs = {{0.00390625}}, uint8 cz = {{0}}> {{
            y = com.microsoft.QLinearSoftmax<axis=1, opset=11>(a,as,az,cs,cz) }}""",
            becomes="2 Cast, Clip, 2 Mul, 2 Reshape, Round, Softmax",
            imports=ms,
        ),
        rewritten(
            "quantised gemm",
            f"""(uint8[N,3] a) => (uint8[N,2] y) <{a}, int8[2,3] b = {{1,-2,3,90,-5,60}}, float[2] bs = {{0.1,0.05}},
            int8[2] bz = {{0,2}}, int32[2] w = {{900,-40}}, float cs = {{0.9}}, uint8 cz = {{100}}> {{
            y = com.microsoft.QGemm<transB=1>(a,as,az,b,bs,bz,w,cs,cz) }}""",
            becomes="2 Add, 2 Cast, Clip, MatMul, Mul, Round, Sub",
            imports=ms,
        ),
        rewritten(
            "products to float",
            f"""(uint8[N,3] a, float[N,3] x) => (float[N,2] y) <{a}, int8[3,2] b = {{1,-2,3,90,-5,60}},
            float[2] bs = {{0.1,0.05}}, int8[2] bz = {{0,2}}> {{
            m = com.microsoft.MatMulIntegerToFloat(a,b,as,bs,az,bz)
            d = com.microsoft.DynamicQuantizeMatMul(x,b,bs,bz,c) y = Add(m,d) }}""",
            becomes="2 Add, 2 Cast, DynamicQuantizeLinear, 2 MatMulInteger, 3 Mul",
            imports=ms,
            c=(2,),
        ),
        refused(
            "a scale for each row",
            "input 1 is",
            f"""(uint8[2,3] a, uint8[2,3] b, float[2] t) => (uint8[2,3] y) <{a}, {b}, {c}> {{
            y = com.microsoft.QLinearMul(a,t,az,b,bs,bz,cs,cz) }}""",
            imports=ms,
        ),
    )


def _given(node: NodeFacts, *names: str) -> dict[str, Any]:
    return {name: node.attribute(name) for name in names if node.given(name)}


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


_EMIT: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    **_EMIT_QUANTIZED,
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _convolution,
    "FusedGemm": _gemm,
    "FusedMatMul": _matrix_product,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified,
}
