"""Nodes in branches and bodies without empty operands at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class DropEmptyOperands(NodeRewrite):
    """Leave operands at the end out that have an empty name.

    **What.** Nodes in a branch of If or a body of Loop whose last operands are left out by an empty name, as torch
    writes ``Pad(x, pads, "")``.

    **Why.** MNN drops such operands in the main graph only. In a branch or a body it reads memory before an array for
    them, and dies.

    **Before and after**::

        y = Pad(x, pads, "")
        y = Pad(x, pads)

    **Algebra.** An operand that is left out at the end is one with an empty name.

    **Source.** https://onnx.ai/onnx/repo-docs/IR.html#optional-inputs-and-outputs
    """

    code = "MNN961"
    name = "drop-empty-operands"
    summary = "its empty operands are left out"
    op_types = ()

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value]:
        """Emit the node with the operands up to the last one that has a name."""
        count = max((position for position, name in enumerate(node.node.input, 1) if name), default=0)
        return new.clone_node(*(new.input(each) if new.has(each) else None for each in range(count)))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Operators with optional operands, in branches and bodies; and in the main graph."""
        pads = "int64[4] p0 = {0, 1, 0, 1}"
        loop = """(int64 m, float[2,3] x) => (float[2,3] y) <bool t = {1}> { y = Loop<body = b (int64 i, bool c,
            float[2,3] s) => (bool d, float[2,3] r) { d = Identity(c) q = Relu(s) r = Clip(q, "", "") }>(m, t, x) }"""
        return (
            rewritten("Pad", _branch('p = Pad(x, p0, "")', "float[2,5]", pads), becomes="If{Pad | Pad}"),
            rewritten(
                "the mean over all axes",
                _branch('p = ReduceMean<keepdims=1>(x, "")', "float[1,1]", pads),
                becomes="If{ReduceMean | ReduceMean}",
                opset=18,
            ),
            rewritten("two operands, in a body", loop, becomes="Loop{Clip, Identity, Relu}"),
            unchanged("left out", _branch("p = Pad(x, p0)", "float[2,5]", pads)),
            unchanged("in the main graph", f'(float[2,3] x) => (float[2,5] y) <{pads}> {{ y = Pad(x, p0, "") }}'),
        )


def _branch(node: str, shape: str, constants: str) -> str:
    """A model with the node, which computes ``p`` of ``x`` and ``p0``, in both branches of an If."""
    other = node.replace("p = ", "q = ")
    return f"""(float[2,3] x, bool c) => ({shape} y) <{constants}> {{ y = If<then_branch = one () => ({shape} p)
        {{ {node} }}, else_branch = two () => ({shape} q) {{ {other} }}>(c) }}"""
