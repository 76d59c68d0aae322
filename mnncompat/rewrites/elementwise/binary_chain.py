"""Max, Min, Sum and Mean of any number of operands as operators with two."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from mnncompat.graph.operator_traits import VARIADIC
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_BINARY = {"Max": "Max", "Min": "Min", "Sum": "Add", "Mean": "Add"}


class BinaryChain(NodeRewrite):
    """Write Max, Min, Sum and Mean as a chain of operators with two operands.

    **What.** Max, Min, Sum and Mean of one operand, of more than two that are broadcast, and Mean of two.

    **Why.** MNN crashes on one operand, stacks more than two without broadcasting them, and has no Mean of two.

    **Before and after**::

        y = Sum(a, b, c)
        y = Add(Add(a, b), c)

        y = Mean(a, b)
        y = Div(Add(a, b), 2)

    **Algebra.** The operators are associative, up to rounding, and broadcast alike.

    **Why this form.** Operands of few elements could be joined first; but the order of sums would change.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/BinaryOpOnnx.cpp
    """

    code = "MNN813"
    name = "binary-chain"
    summary = "written with two operands at a time"
    op_types = VARIADIC

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the chain."""
        op, operands = node.node.op_type, new.inputs()
        total = reduce(lambda one, other: new.op(_BINARY[op], one, other), operands)
        return total / float(len(operands)) if op == "Mean" and len(operands) > 1 else total

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One operand, two, and three that are broadcast; three that are not."""
        return (
            rewritten("one", "(float[2,3] a) => (float[2,3] y) { y = Max(a) }", becomes="Identity"),
            rewritten(
                "mean of two", "(float[2,3] a, float[3] b) => (float[2,3] y) { y = Mean(a, b) }", becomes="Add, Div"
            ),
            rewritten(
                "sum of three",
                "(float[2,3] a, float[3] b, float[2,1] c) => (float[2,3] y) { y = Sum(a, b, c) }",
                becomes="2 Add",
            ),
            rewritten(
                "mean of three",
                "(float[2,3] a, float[3] b) => (float[2,3] y) { y = Mean(a, b, c) }",
                becomes="2 Add, Div",
                c=(1,),
            ),
            rewritten("integers", "(int32[2,3] a, int32[3] b) => (int32[2,3] y) { y = Min(a, b, b) }", becomes="2 Min"),
            unchanged("alike", "(float[2,3] a, float[2,3] b, float[2,3] c) => (float[2,3] y) { y = Sum(a, b, c) }"),
        )
