"""If with a constant condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import GraphProto

from mnncompat.inference.known_conditions import known_condition
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts


class ConstantIf(NodeRewrite):
    """Replace an If whose condition is constant by the branch that is taken.

    **What.** If over a condition that is stored, or computed from constants and sizes that are known, also where other
    sizes of the same shape are open, or where one operand of And or Or decides. Exporters write such conditions for
    tests of a rank or a size; `mnncompat fix --shape` settles more of them.

    **Why.** MNN converts both branches, whichever is taken, and refuses the model for either. A model with an If runs
    in the Module API only: in MNN's Session nothing comes out.

    **Before and after**::

        y = If(true) {then: Relu(x); else: Hardmax(x)}
        y = Relu(x)

    **Algebra.** If means the branch that its condition takes.

    **Source.** https://onnx.ai/onnx/operators/onnx__If.html
    """

    code = "MNN942"
    name = "constant-if"
    summary = "its condition is constant: the branch that it takes is written in its place"
    op_types = ("If",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the branch."""
        taken_branch = known_condition(node.view, node.node.input[0])
        if taken_branch is None:
            raise NotApplicable("its condition is not known")
        branch: GraphProto = node.attribute("then_branch" if taken_branch else "else_branch")
        return new.inline(branch, [])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Conditions stored and computed, a branch that reads the graph around it, and branches without a hazard."""
        branches = """<then_branch = one () => (float[2,3] a) { t = Relu(x) a = Mul(t, w) },
            else_branch = two () => (float[2,3] b) { b = Hardmax(x) }>"""
        healthy = """<then_branch = one () => (float[2,3] a) { a = Relu(x) },
            else_branch = two () => (float[2,3] b) { b = Neg(x) }>"""
        return (
            rewritten(
                "stored",
                f"(float[2,3] x) => (float[2,3] y) <bool c = {{1}}> {{ y = If{branches}(c) }}",
                becomes="Mul, Relu",
                w=(3,),
            ),
            rewritten(
                "asks for a size",
                f"""(float[2,3] x) => (float[2,3] y) <int64 two = {{2}}, int64[1] zero = {{0}}> {{
                s = Shape(x) g = Gather(s, zero) n = Squeeze(g) c = Equal(n, two) y = If{branches}(c) }}""",
                becomes="Mul, Relu",
                w=(3,),
            ),
            rewritten(
                "asks for one size, another one is open",
                _asking("n = Gather(s, one) c = Equal(n, three)"),
                becomes="Relu",
            ),
            rewritten(
                "one operand decides", _asking("n = Gather(s, zero) d = Equal(n, three) c = And(d, no)"), becomes="Neg"
            ),
            unchanged("asks for a size that is open", _asking("n = Gather(s, zero) c = Equal(n, three)")),
            rewritten(
                "healthy branches",
                f"(float[2,3] x) => (float[2,3] y) <bool c = {{0}}> {{ y = If{healthy}(c) }}",
                becomes="Neg",
            ),
            unchanged(
                "condition is an input",
                f"(float[2,3] x, bool c) => (float[2,3] y) {{ y = If{branches}(c) }}",
                w=(3,),
            ),
        )


def _asking(condition: str) -> str:
    """A model that chooses a branch by the shape of `x`, of which one size is open."""
    return f"""(float[N,3] x) => (float[N,3] y)
        <int64 three = {{3}}, int64 one = {{1}}, int64 zero = {{0}}, bool no = {{0}}> {{
        s = Shape(x) {condition}
        y = If<then_branch = a () => (float[N,3] p) {{ p = Relu(x) }},
            else_branch = b () => (float[N,3] q) {{ q = Neg(x) }}>(c) }}"""
