"""Reflecting GridSample whose positions are reflected beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.resize.grid_positions import reflected

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_FAR = (np.arange(24, dtype=np.float32).reshape(1, 3, 4, 2) - 11.3) / 3


class GridSampleReflection(NodeRewrite):
    """Fold the grid into the image, and read its border beyond.

    **What.** GridSample with padding_mode reflection, mode linear or nearest.

    **Why.** MNN reflects wrongly.

    **Before and after**::

        y = GridSample(x, grid, padding_mode = reflection)
        t = grid + 1 - 4 * Floor((grid + 1) / 4)
        y = GridSample(x, 1 - Abs(t - 2), padding_mode = border)

    **Algebra.** In the grid's own units the image reaches from -1 to 1, with ``align_corners`` from centre to centre,
    else from edge to edge; reflection at both is a wave of period 4. A position between an edge and the nearest centre
    reads that element alone, as padding mode border does.

    **Refuses** nothing.

    **Why this form.** Eight operations on the grid, none on the image.

    **Source.** https://onnx.ai/onnx/operators/onnx__GridSample.html
    """

    code = "MNN897"
    name = "grid-sample-reflection"
    summary = "the grid is folded into the image beforehand"
    op_types = ("GridSample",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the reflection and the operator."""
        return new.clone_node(new.input(0), reflected(new.input(1), new), padding_mode="border")[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both alignments; dynamic sizes do not matter."""
        return (
            rewritten(
                "edges",
                """(float[1,2,H,4] x) => (float[1,2,3,4] y)
                { y = GridSample<mode="bilinear", padding_mode="reflection">(x, g) }""",
                becomes="Abs, Add, Floor, GridSample, 2 Mul, 3 Sub",
                opset=16,
                g=_FAR,
            ),
            rewritten(
                "corners, at run time",
                """(float[2,2,3,4] x, float[2,5,6,2] g) => (float[2,2,5,6] y)
                { y = GridSample<mode="linear", padding_mode="reflection", align_corners=1>(x, g) }""",
                becomes="Abs, Add, Floor, GridSample, 2 Mul, 3 Sub",
                opset=20,
            ),
            unchanged(
                "border",
                """(float[1,2,3,4] x) => (float[1,2,3,4] y)
                { y = GridSample<mode="bilinear", padding_mode="border">(x, g) }""",
                opset=16,
                g=_FAR,
            ),
        )
