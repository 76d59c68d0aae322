"""Shrink as a choice of three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ShrinkByWhere(NodeRewrite):
    """Write Shrink as a choice of three.

    **What.** Shrink of floats.

    **Why.** On x86 MNN compares two negative floats wrongly (see Less), so that values below -lambd become others.

    **Before and after**::

        y = Shrink<lambd, bias>(x)
        y = Where(Greater(-x, lambd), x + bias, Where(Greater(x, lambd), x - bias, 0))

    **Algebra.** x < -lambd if and only if -x > lambd.

    **Source.** https://onnx.ai/onnx/operators/onnx__Shrink.html
    """

    code = "MNN822"
    name = "shrink-by-where"
    summary = "written with Greater and Where"
    op_types = ("Shrink",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the choice."""
        x, lambd, bias = new.input(0), node.attribute("lambd"), node.attribute("bias")
        lowered, raised = (x - bias, x + bias) if bias else (x, x)
        above = new.op("Where", new.op("Greater", x, lambd), lowered, new.scalar(0, x))
        return new.op("Where", new.op("Greater", -x, lambd), raised, above)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Soft and hard; and of what is positive."""
        return (
            rewritten(
                "soft",
                "(float[2,3] x) => (float[2,3] y) { y = Shrink<lambd=0.3, bias=0.3>(x) }",
                becomes="Add, 2 Greater, Neg, Sub, 2 Where",
            ),
            rewritten(
                "hard",
                "(float[2,3,4] x) => (float[2,3,4] y) { y = Shrink<lambd=0.3>(x) }",
                becomes="2 Greater, Neg, 2 Where",
                opset=9,
            ),
            unchanged("positive", "(float[2,3] x) => (float[2,3] y) { r = Relu(x) y = Shrink<lambd=0.3>(r) }"),
        )
