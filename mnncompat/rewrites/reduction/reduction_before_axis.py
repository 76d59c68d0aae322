"""The attributes of ScatterElements in the order in which MNN reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ReductionBeforeAxis(NodeRewrite):
    """Write ``reduction`` of a ScatterElements and leave ``axis`` out.

    **What.** ScatterElements that states ``axis`` before ``reduction``, as most exporters do.

    **Why.** MNN stops reading attributes at the first of the two: the reduction is lost, and with ``reduction`` first
    the axis would be.

    **Before and after**::

        y = ScatterElements<axis=1, reduction="add">(x, i, u)
        y = Transpose(ScatterElements<reduction="add">(Transpose(x), Transpose(i), Transpose(u)))

    Along the first axis nothing is transposed. The reduction ``none`` is the default and is left out instead.

    **Algebra.** Axes are exchanged and exchanged back.

    **Refuses** operands whose rank is not known.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxScatterND.cpp
    """

    code = "MNN852"
    name = "reduction-before-axis"
    summary = "the reduction is stated where MNN reads it"
    op_types = ("ScatterElements",)
    before = (
        (
            "scatter-reduction",
            "without its axis a ScatterElements may be right as it is, one node where that one writes several",
        ),
    )

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the node along its first axis."""
        if node.attribute("reduction") == "none":
            return new.clone_node(reduction=None)[0]
        operands = new.inputs()
        rank, axis = _rank(new), int(node.attribute("axis"))
        if not -rank <= axis < rank:
            raise NotApplicable(f"axis {axis} of a tensor of rank {rank}")
        axis %= rank
        if axis == 0:
            return new.clone_node(*operands, axis=None)[0]
        order = list(range(rank))
        order[0], order[axis] = axis, 0
        (result,) = new.clone_node(*(new.transpose(each, order) for each in operands), axis=None)
        return new.transpose(result, order)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both axes, with duplicates, and attributes that are in order."""
        return (
            *_read_by_position(),
            unchanged(
                "no reduction, behind the axis",
                """(float[4,3] x, float[4,2] u) => (float[4,3] y) {
                y = ScatterElements<axis=1, reduction="none">(x, i, u) }""",
                i=np.array([[0, 2], [1, 0], [2, 1], [1, 2]]),
                opset=18,
            ),
            unchanged(
                "no axis",
                """(float[4,3] x, float[2,3] u) => (float[4,3] y) {
                y = ScatterElements<reduction="add">(x, i, u) }""",
                i=_TABLE,
                opset=16,
            ),
        )


# Parts of the examples.
_TABLE = np.array([[0, 2, 0], [1, 1, 2]])


def _read_by_position() -> tuple[Example, ...]:
    """Attributes in an order that MNN misreads."""
    return (
        rewritten(
            "first axis",
            """(float[4,3] x, float[2,3] u) => (float[4,3] y) {
            y = ScatterElements<axis=0, reduction="add">(x, i, u) }""",
            becomes="ScatterElements",
            i=_TABLE,
            opset=16,
        ),
        rewritten(
            "another axis",
            """(float[2,N,3] x, float[2,1,3] u) => (float[2,N,3] y) {
            y = ScatterElements<axis=-1, reduction="mul">(x, i, u) }""",
            becomes="ScatterElements, 4 Transpose",
            i=_TABLE[:, None],
            opset=16,
        ),
        rewritten(
            "no reduction",
            """(float[4,3] x, float[4,2] u) => (float[4,3] y) {
            y = ScatterElements<reduction="none", axis=1>(x, i, u) }""",
            becomes="ScatterElements",
            i=np.array([[0, 2], [1, 0], [2, 1], [1, 2]]),
            opset=18,
        ),
    )


def _rank(new: SubgraphBuilder) -> int:
    """Rank of all three operands, known from any of them."""
    known = [shape for shape in (new.known_shape(each.name) for each in new.inputs()) if shape is not None]
    return len(known[0]) if known else new.input(0).rank
