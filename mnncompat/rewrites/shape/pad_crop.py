"""Pad with negative pads, which crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_END = int(np.iinfo(np.int64).max)
_OLD_END = int(np.iinfo(np.int32).max)


class PadCrop(NodeRewrite):
    """Crop by Slice what a Pad crops by negative pads.

    **What.** Pad with negative pads.

    **Why.** MNN treats them as zeros, or moves the padding.

    **Before and after**::

        y = Pad(x, pads=[-1, 2])
        y = Pad(x[1:], pads=[0, 2])

    **Algebra.** Negative pads remove elements before anything is added, so that what is repeated or reflected is what
    remains: ONNX Runtime does so in every mode (measured with up to 5 elements and 3 pads on either side).

    **Refuses** pads that are computed at run time.

    **Source.** https://onnx.ai/onnx/operators/onnx__Pad.html
    """

    code = "MNN858"
    name = "pad-crop"
    summary = "what negative pads remove is sliced off"
    op_types = ("Pad",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the cropping, and the padding that remains."""
        data, inputs = new.input(0), new.opset >= 11  # noqa: PLR2004 - since when pads are an input
        pads = np.asarray(new.integers(1) if inputs else node.attribute("pads")).reshape(2, -1)
        axes = new.integers(3) if inputs and new.has(3) else list(range(pads.shape[1]))
        cropped = [at for at in range(len(axes)) if pads[:, at].min() < 0]
        starts = [int(max(-pads[0, at], 0)) for at in cropped]
        ends = [int(pads[1, at]) if pads[1, at] < 0 else _END if inputs else _OLD_END for at in cropped]
        value = new.slice(data, starts, ends, [axes[at] for at in cropped])
        kept = [int(each) for each in np.maximum(pads, 0).reshape(-1)]
        if not any(kept):
            return value
        if not inputs:
            return new.clone_node(value, pads=kept)[0]
        others = [new.input(at) if new.has(at) else None for at in (2, 3)]
        return new.clone_node(value, new.constant(kept), *others)[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Cropped only, cropped and padded, below opset 11."""
        return (
            rewritten(
                "crop",
                "(float[2,5] x) => (float[2,2] y) { y = Pad(x, pads) }",
                becomes="Slice",
                pads=np.array([0, -1, 0, -2]),
            ),
            rewritten(
                "crop and pad",
                "(float[N,3,4] x) => (float[N,4,5] y) { y = Pad(x, pads, v) }",
                becomes="Pad, Slice",
                pads=np.array([0, -1, 2, 0, 2, -1]),
                v=np.array(1.5, np.float32),
            ),
            rewritten(
                "attribute",
                "(float[2,5] x) => (float[4,2] y) { y = Pad<pads=[2,-1,0,-2]>(x) }",
                becomes="Pad, Slice",
                opset=10,
            ),
            unchanged(
                "not negative", "(float[2,5] x) => (float[2,6] y) { y = Pad(x, pads) }", pads=np.array([0, 1, 0, 0])
            ),
            rewritten(
                "reflected along a cropped axis",
                """(float[5] x) => (float[6] y) { y = Pad<mode="reflect">(x, pads) }""",
                becomes="Pad, Slice",
                pads=np.array([-1, 2]),
            ),
            rewritten(
                "shifted by one, the first element repeated",
                """(float[N,4] x) => (float[N,4] y) { y = Pad<mode="edge">(x, pads) }""",
                becomes="Pad, Slice",
                pads=np.array([0, 1, 0, -1]),
            ),
        )
