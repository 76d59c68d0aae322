"""The last states of a bidirectional GRU, taken from its sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


_END = 2**31 - 1
"""Beyond every sequence."""


class GruLastState(NodeRewrite):
    """Take the last states of a bidirectional GRU from its sequence.

    **What.** A bidirectional GRU whose second output, the last state of both directions, is used.

    **Why.** MNN has two forms of a GRU. Its own op leaves the last state of the second direction unwritten; the loop
    that its converter writes by default does not run in MNN's Session API. With the states taken from the sequence the
    own op is right, and runs in both APIs.

    **Before and after**::

        y, h = GRU<direction="bidirectional">(x, w, r)

        y = GRU<direction="bidirectional">(x, w, r)
        h = Concat(y[-1, 0:1], y[0, 1:2])

    **Algebra.** The first direction ends at the last step, the second one at the first.

    **Refuses.** Sequences of lengths of their own, which end elsewhere; a batch that comes first (layout 1).

    **Source.** https://onnx.ai/onnx/operators/onnx__GRU.html
    """

    code = "MNN965"
    name = "gru-last-state"
    summary = "its last states are taken from the sequence"
    op_types = ("GRU",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the GRU, and its last states."""
        if node.operand(4) is not None:
            raise NotApplicable("it is given the lengths of the sequences, which end at other steps")
        if node.attribute("layout") == 1:
            raise NotApplicable("its batch comes first: another rewrite puts the steps first")
        sequence, *_ = new.clone_node(outputs=2)
        forward = new.slice(sequence, [-1, 0], [_END, 1], [0, 1])
        backward = new.slice(sequence, [0, 1], [1, 2], [0, 1])
        return [sequence, new.concat([new.squeeze(each, [0]) for each in (forward, backward)], 0)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With and without the sequence, of open length, and states that nothing reads."""
        both = 'direction="bidirectional", linear_before_reset=1, hidden_size=2'
        weights = {"w": (2, 6, 4), "r": (2, 6, 2)}
        return (
            rewritten(
                "both outputs",
                f"(float[3,1,4] x) => (float[3,2,1,2] y, float[2,1,2] h) {{ y, h = GRU<{both}>(x, w, r) }}",
                becomes="Concat, GRU, 2 Slice, 2 Squeeze",
                opset=14,
                **weights,
            ),
            rewritten(
                "one step, from a state",
                f"""(float[1,2,4] x, float[2,2,2] s) => (float[2,2,2] h) {{
                y, h = GRU<{both}>(x, w, r, , , s) }}""",
                becomes="Concat, GRU, 2 Slice, 2 Squeeze",
                opset=14,
                **weights,
            ),
            refused(
                "lengths of their own",
                "lengths of the sequences",
                f"""(float[3,1,4] x, float[2,6,4] w, float[2,6,2] r) => (float[2,1,2] h) <int32[1] l = {{3}}> {{
                y, h = GRU<{both}>(x, w, r, , l) }}""",
                opset=14,
            ),
            refused(
                "the batch first",
                "its batch comes first",
                f"""(float[1,3,4] x, float[2,6,4] w, float[2,6,2] r) => (float[1,2,2] h) {{
                y, h = GRU<{both}, layout=1>(x, w, r) }}""",
                opset=14,
            ),
            unchanged(
                "the sequence alone",
                f"(float[3,1,4] x) => (float[3,2,1,2] y) {{ y, h = GRU<{both}>(x, w, r) }}",
                opset=14,
                **weights,
            ),
        )
