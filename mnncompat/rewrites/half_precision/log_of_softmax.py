"""Log of Softmax as one operator."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from mnncompat.graph.protos import attribute
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import floor_of_logarithm, softmax_of_logarithm

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class LogOfSoftmax(NodeRewrite):
    """Write Log of Softmax as LogSoftmax.

    **What.** Log behind Softmax, for half precision.

    **Why.** Probabilities below 6e-8 are 0 in float16, and their logarithm is that of 0.

    **Before and after**::

        y = Log(Softmax(x))
        y = LogSoftmax(x)

        y = Log(Softmax(x) + e)
        l = LogSoftmax(x)  y = l + Softplus(Log(e) - l)

    **Algebra.** ONNX's definition, without the rounding of the probabilities.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, operands of N(0, 8): -66 dB before and 71
    after.

    **Source.** https://onnx.ai/onnx/operators/onnx__LogSoftmax.html
    """

    code = "MNN983"
    name = "log-of-softmax"
    summary = "written with the Softmax before it as LogSoftmax"
    for_half_precision = True
    op_types = ("Log",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit LogSoftmax."""
        softmax, beside = softmax_of_logarithm(node), floor_of_logarithm(node)
        if softmax is None:
            raise NotApplicable("there is no Softmax before it")
        result = new.op("LogSoftmax", new.value(softmax.input[0]), axis=attribute(softmax, "axis"))
        if beside is None:
            return result
        least = log(beside[1])
        if beside[2].op_type != "Add":
            return new.op("Max", result, least)
        return result + new.op("Softplus", least - result)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """An axis, and a Softmax that something else reads; and Log of something else."""
        return (
            rewritten(
                "axis 1",
                "(float[2,3,4] x) => (float[2,3,4] y) { s = Softmax<axis=1>(x) y = Log(s) }",
                becomes="LogSoftmax",
                precision="low",
            ),
            rewritten(
                "probabilities as well",
                "(float[N,3] x) => (float[N,3] y, float[N,3] s) { s = Softmax(x) y = Log(s) }",
                becomes="LogSoftmax, Softmax",
                precision="low",
            ),
            unchanged("of Sigmoid", "(float[2,3] x) => (float[2,3] y) { s = Sigmoid(x) y = Log(s) }", precision="low"),
            unchanged("in float32", "(float[2,3] x) => (float[2,3] y) { s = Softmax(x) y = Log(s) }"),
        )
