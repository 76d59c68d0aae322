"""TopK in branches and bodies with its axis counted from the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class TopKAxis(NodeRewrite):
    """Count the axis of TopK from the first.

    **What.** TopK in a branch of If or a body of Loop, of a value of the graph around it, along a negative axis or the
    default one, which is the last.

    **Why.** MNN takes a value of the graph around a branch for one of rank 1, and adds 1 to a negative axis.

    **Before and after**::

        values, indices = TopK(x, k)                  rank 3
        values, indices = TopK(x, k, axis = 2)

    **Algebra.** Axis -1 of rank 3 is axis 2.

    **Refuses** values of unknown rank.

    **Source.** https://onnx.ai/onnx/operators/onnx__TopK.html
    """

    code = "MNN963"
    name = "top-k-axis"
    summary = "its axis is counted from the first"
    op_types = ("TopK",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value]:
        """Emit a copy with another attribute."""
        return new.clone_node(axis=int(node.attribute("axis")) % new.input(0).rank)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """The default axis, a negative one; a positive one, and an unknown rank."""
        return (
            rewritten("default", _branch("TopK(x, k)", "float[2,4,2]"), becomes="If{TopK | TopK}"),
            rewritten("negative", _branch("TopK<axis=-2>(x, k)", "float[2,2,6]"), becomes="If{TopK | TopK}"),
            unchanged("from the first", _branch("TopK<axis=2>(x, k)", "float[2,4,2]")),
            refused(
                "rank is not known",
                "rank",
                """(float[W] w, int64[R] s, bool c) => (float[A,B,C] y) <int64[1] k = {2}> { x = Expand(w, s)
                y = If<then_branch = one () => (float[A,B,C] p) { p, i = TopK(x, k) },
                else_branch = two () => (float[A,B,C] q) { q, j = TopK<axis=0>(x, k) }>(c) }""",
            ),
        )


def _branch(node: str, shape: str, other: str = "") -> str:
    return f"""(float[2,4,6] x, bool c) => ({shape} y) <int64[1] k = {{2}}> {{ y = If<then_branch = one () =>
        ({shape} p) {{ p, i = {node} }}, else_branch = two () => ({shape} q) {{ q, j = {other or node} }}>(c) }}"""
