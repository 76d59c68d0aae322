"""ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp and ReduceSumSquare written with ReduceSum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.reduction.axes import Reduction

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ReduceBySum(NodeRewrite):
    """Write a composed reduction as ReduceSum with Abs, Mul, Exp, Sqrt or Log around it.

    **What.** ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp and ReduceSumSquare whose axes are an input, whose
    ``keepdims`` is not stated, that must reduce nothing (``noop_with_empty_axes``), or whose operand is of integers.

    **Why.** MNN composes them itself, but reads only the attributes ``axes`` and ``keepdims``, and uses 0 as the
    default of the latter: from opset 18 on, where the axes are an input, it reduces everything.

    **Before and after**::

        y = ReduceL2(x, axes)
        y = Sqrt(ReduceSum(x * x, axes))

        y = ReduceLogSumExp(x, axes)
        m = Clip(ReduceMax(x, axes), lowest, largest)
        y = Log(ReduceSum(Exp(x - m), axes)) + m

    **Algebra.** The definitions. ``log(sum(exp(x))) = log(sum(exp(x - m))) + m`` for every finite m; with the largest
    element no Exp overflows. Integers are summed as integers where only integers are summed.

    **Why this form.** It has the operators into which MNN would decompose the node, except for ReduceMax and two cheap
    ones, which ReduceLogSumExp needs beyond x = 87, where MNN's Exp is clamped.

    **Refuses** an unknown number of axes, which are computed at run time: there may be none, which means all.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxReduceL2.cpp
    """

    code = "MNN810"
    name = "reduce-by-sum"
    summary = "written with ReduceSum, of which MNN reads the axes"
    op_types = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the composition."""
        x = new.input(0)
        reduction = Reduction.of(node, new)
        dtype = x.dtype
        match node.node.op_type:
            case "ReduceL1":
                return reduction.emit("ReduceSum", new.op("Abs", x))
            case "ReduceSumSquare":
                return reduction.emit("ReduceSum", x * x)
            case "ReduceL2":
                return new.cast(new.op("Sqrt", _real(new, reduction.emit("ReduceSum", x * x))), dtype)
            case "ReduceLogSum":
                return new.cast(new.op("Log", _real(new, reduction.emit("ReduceSum", x))), dtype)
            case _:
                return new.cast(_log_sum_exp(new, reduction, _real(new, x)), dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Axes as an input, constant, computed and empty; attributes; and forms that MNN reads correctly."""
        return (
            *_axes(),
            *_attributes_and_types(),
            refused(
                "unknown number of axes",
                "axes are computed at run time",
                "(float[2,3] x, int64[K] a) => (float[M,N] y) { y = ReduceL1(x, a) }",
                opset=18,
            ),
            unchanged("stated", "(float[2,3] x) => (float[2,1] y) { y = ReduceL1<axes=[1], keepdims=1>(x) }", opset=13),
        )


def _axes() -> tuple[Example, ...]:
    """Axes that are stored, empty, and computed."""
    return (
        rewritten(
            "axes",
            "(float[2,3,4] x) => (float[2,1,4] y) { y = ReduceL1(x, axes) }",
            becomes="Abs, ReduceSum",
            opset=18,
            axes=_ints(1),
        ),
        rewritten(
            "nothing",
            "(float[2,3] x) => (float[2,3] y) { y = ReduceSumSquare<noop_with_empty_axes=1>(x) }",
            becomes="Mul",
            opset=18,
        ),
        rewritten(
            "computed axes",
            "(float[2,3] x, int64[1] a) => (float[M,N] y) { y = ReduceSumSquare(x, a) }",
            becomes="Mul, ReduceSum",
            opset=18,
        ),
    )


def _attributes_and_types() -> tuple[Example, ...]:
    """Attributes, and integers."""
    return (
        rewritten(
            "keepdims 0",
            "(float[2,3,4] x) => (float[3] y) { y = ReduceLogSumExp<keepdims=0>(x, axes) }",
            becomes="Add, Clip, Exp, Log, ReduceMax, ReduceSum, Squeeze, Sub",
            opset=18,
            axes=_ints(0, -1),
        ),
        rewritten(
            "keepdims not stated",
            "(float[2,3,4] x) => (float[2,3,1] y) { y = ReduceL2<axes=[2]>(x) }",
            becomes="Mul, ReduceSum, Sqrt",
            opset=13,
        ),
        rewritten(
            "integers",
            "(int32[2,3] x) => (int32[2,1] y) { y = ReduceL2<axes=[1], keepdims=1>(x) }",
            becomes="2 Cast, Mul, ReduceSum, Sqrt",
            opset=13,
        ),
    )


def _log_sum_exp(new: SubgraphBuilder, reduction: Reduction, x: Value) -> Value:
    if reduction.is_noop:
        return x
    if reduction.may_be_empty(x):
        return new.op("Log", reduction.emit("ReduceSum", new.op("Exp", x)))
    peak = new.clip(reduction.emit("ReduceMax", x, keepdims=True), *x.finite_range)
    total = new.op("Log", reduction.emit("ReduceSum", new.op("Exp", x - peak)))
    return total + reduction.squeeze(peak)


def _real(new: SubgraphBuilder, x: Value) -> Value:
    return x if x.is_float else new.cast(x, TensorProto.FLOAT)


def _ints(*values: int) -> Any:
    return np.asarray(values, np.int64)
