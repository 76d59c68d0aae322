"""Clip with bounds that MNN reads, or as Max and Min."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class ClipBounds(NodeRewrite):
    """Write Clip as Max and Min, or with the bound that is missing, or drop it.

    **What.** Clip whose ``min`` is above its ``max``, Clip of integers without bounds, before MNN 3.2.3 Clip without a
    lower bound, and Clip with one bound of a value of the graph around a branch or a body.

    **Why.** MNN gives ``min`` where ONNX gives ``max``; without bounds it uses those of floats for integers; and the
    older releases use the smallest positive number as the lowest. In a branch or a body MNN takes a value of the graph
    around it for int32, and the bound that is left out for an integer.

    **Before and after**::

        y = Clip(x, 3, 1)
        y = Min(Max(x, 3), 1)

        y = Clip(x)                                       int32
        y = Identity(x)

    **Algebra.** The definition: ``Min(Max(x, min), max)``.

    **Source.** https://onnx.ai/onnx/operators/onnx__Clip.html
    """

    code = "MNN823"
    name = "clip-bounds"
    summary = "its bounds are made explicit"
    op_types = ("Clip",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit what its bounds say."""
        x = new.input(0)
        low = new.input(1) if new.has(1) else _stated(node, new, "min")
        high = new.input(2) if new.has(2) else _stated(node, new, "max")
        if low is None and high is not None and new.has(2):
            return new.clone_node(x, x.finite_range[0], high)[0]
        raised = x if low is None else new.op("Max", x, low)
        return raised if high is None else new.op("Min", raised, high)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Bounds in the wrong order; no bounds for integers; and bounds in order, which stay unchanged."""
        return (
            rewritten(
                "inputs",
                "(float[6] x) => (float[6] y) <float a = {0.5}, float b = {-0.5}> { y = Clip(x, a, b) }",
                becomes="Max, Min",
            ),
            rewritten("no bounds", "(int32[6] x) => (int32[6] y) { y = Clip(x) }", becomes="Identity"),
            rewritten("captured, lower bound", _branch("Clip(x, a)"), becomes="If{Max | Neg}"),
            rewritten("captured, upper bound", _branch('Clip(x, "", a)'), becomes="If{Clip | Neg}"),
            unchanged("captured, both bounds", _branch("Clip(x, a, b)")),
            unchanged(
                "in order", "(float[6] x) => (float[6] y) <float a = {-0.5}, float b = {0.5}> { y = Clip(x, a, b) }"
            ),
        )


def _branch(node: str) -> str:
    return f"""(float[6] x, bool c) => (float[6] y) <float a = {{-0.5}}, float b = {{0.5}}> {{ y = If<then_branch =
        one () => (float[6] p) {{ p = {node} }}, else_branch = two () => (float[6] q) {{ q = Neg(x) }}>(c) }}"""


def _stated(node: NodeFacts, new: SubgraphBuilder, name: str) -> Value | None:
    return new.scalar(node.attribute(name), new.input(0)) if node.given(name) else None
