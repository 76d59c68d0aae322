"""Shrink as a choice of three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.sketch import Sketch, Value


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

    def build(self, node: NodeFacts, new: Sketch) -> Value:
        """Draw the choice."""
        x, lambd, bias = new.input(0), node.attribute("lambd"), node.attribute("bias")
        lowered, raised = (x - bias, x + bias) if bias else (x, x)
        above = new.op("Where", new.op("Greater", x, lambd), lowered, new.scalar(0, x))
        return new.op("Where", new.op("Greater", -x, lambd), raised, above)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Soft and hard; and of what is positive."""
        return (
            taken("soft", "(float[2,3] x) => (float[2,3] y) { y = Shrink<lambd=0.3, bias=0.3>(x) }"),
            taken("hard", "(float[2,3,4] x) => (float[2,3,4] y) { y = Shrink<lambd=0.3>(x) }", opset=9),
            left("positive", "", "(float[2,3] x) => (float[2,3] y) { r = Relu(x) y = Shrink<lambd=0.3>(r) }"),
        )
