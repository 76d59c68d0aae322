"""Relu of a graph output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_MAX_BROADCASTS = 8  # opset


class ReluAsMax(NodeRewrite):
    """Write Relu as the maximum of its operand and 0.

    **What.** Relu of a sum, a product or another operation on two operands that is an output of its graph as well, and
    that nothing else reads.

    **Why.** MNN merges such a Relu into the arithmetic before it, without checking the graph's outputs: the sum itself
    is lost, and the converted model does not load, or crashes if that happens in the body of an If or a Loop.

    **Before and after**::

        s = a + b                         s = a + b
        y = Relu(s)                       y = Max(s, 0)

    **Algebra.** The definition. Before opset 8, where Max does not broadcast, ``y = Relu(-(-s))``: nothing is merged
    through a negation.

    **Why this form.** One pass over the elements, as Relu is.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/postconvert/MergeReluToBinary.cpp
    """

    code = "MNN945"
    name = "relu-as-max"
    summary = "written as the maximum of its operand and 0"
    op_types = ("Relu",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the maximum."""
        operand = new.input(0)
        if new.opset < _MAX_BROADCASTS:
            return new.op("Relu", new.op("Neg", -operand))
        return new.op("Max", operand, 0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Sums, products, scalars, copies of them, bodies, old opsets; and what MNN does not merge."""
        return (
            *_merged_examples(),
            unchanged("no output", "(float[2,3] a, float[2,3] b) => (float[2,3] y) { s = Add(a, b) y = Relu(s) }"),
            unchanged("read elsewhere", f"{_TWO} {{ s = Add(a, b) t = Relu(s) z = Neg(s) y = Add(t, z) }}"),
            unchanged("of one operand", f"{_IMAGE} {{ s = Neg(x) y = Relu(s) }}"),
            unchanged("of three operands", f"{_TWO} {{ s = Sum(a, b, a) y = Relu(s) }}"),
            unchanged(
                "bias", f"{_IMAGE} {{ c = Conv(x, w) s = Add(c, k) y = Relu(s) }}", w=(3, 3, 1, 1), k=(1, 3, 1, 1)
            ),
        )


# Parts of the examples.
_TWO = "(float[2,3] a, float[2,3] b) => (float[2,3] s, float[2,3] y)"
_IMAGE = "(float[1,3,4,5] x) => (float[1,3,4,5] s, float[1,3,4,5] y)"


def _merged_examples() -> tuple[Example, ...]:
    """What MNN merges: sums, products, copies of them, bodies."""
    body = """body = step (int64 i, bool go, float[2,3] old) => (bool on, float[2,3] s, float[2,3] r) {
        on = Identity(go) s = Add(old, x) r = Relu(s) }"""
    return (
        rewritten("sum", f"{_TWO} {{ s = Add(a, b) y = Relu(s) }}", becomes="Add, Max"),
        rewritten("scaled", f"{_IMAGE} <float k = {{-2.0}}> {{ s = Mul(x, k) y = Relu(s) }}", becomes="Max, Mul"),
        rewritten("shifted by channel", f"{_IMAGE} {{ s = Sub(x, k) y = Relu(s) }}", becomes="Max, Sub", k=(3, 1, 1)),
        rewritten("of many operators", f"{_IMAGE} {{ s = Softsign(x) y = Relu(s) }}", becomes="Max, Softsign"),
        rewritten(
            "a copy is the output",
            f"{_TWO} {{ t = Sub(a, b) s = Identity(t) y = Relu(t) }}",
            becomes="Identity, Max, Sub",
        ),
        rewritten(
            "a copy is read", f"{_TWO} {{ s = Add(a, b) t = Identity(s) y = Relu(t) }}", becomes="Add, Identity, Max"
        ),
        rewritten("once more", f"{_TWO} {{ t = Add(a, b) s = Relu(t) y = Relu(s) }}", becomes="Add, Max, Relu"),
        rewritten(
            "before Max broadcasts", f"{_TWO} {{ s = Add(a, b) y = Relu(s) }}", becomes="Add, 2 Neg, Relu", opset=7
        ),
        rewritten(
            "integers",
            "(int32[2,3] a, int32[3] b) => (int32[2,3] s, int32[2,3] y) { s = Sub(a, b) y = Relu(s) }",
            becomes="Max, Sub",
            opset=14,
        ),
        rewritten(
            "in a loop",
            f"""(float[2,3] x) => (float[2,3] y, float[2,2,3] z) <int64 n = {{2}}> {{
            y, z = Loop<{body}>(n, , x) }}""",
            becomes="Loop{Add, Identity, Max}",
        ),
    )
