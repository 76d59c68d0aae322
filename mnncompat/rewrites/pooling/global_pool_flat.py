"""Global pools over flattened images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class GlobalPoolFlat(NodeRewrite):
    """Flatten the spatial axes before a global pool.

    **What.** GlobalAveragePool, GlobalMaxPool and GlobalLpPool of rank 5.

    **Why.** MNN pools the first image of a batch only, and leaves an axis in GlobalLpPool.

    **Before and after**::

        y = GlobalMaxPool(x)                                          x: (N, C, D, H, W)
        y = Reshape(GlobalMaxPool(Reshape(x, (N, C, 1, D*H*W))), (N, C, 1, 1, 1))

    **Algebra.** A pool over all elements does not depend on their arrangement.

    **Source.** MNN 3.6.1, source/geometry/GeometryPooling3D.cpp
    """

    code = "MNN885"
    name = "global-pool-flat"
    summary = "the image is flattened before it"
    op_types = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the pool between two reshapes."""
        x = new.input(0)
        (flat,) = new.clone_node(new.reshape(x, [0, 0, 1, -1]))
        return new.reshape(flat, [0, 0, *[1] * (x.rank - 2)])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each of the three, and pools that MNN computes correctly."""
        return (
            rewritten(
                "batch",
                "(float[2,3,2,4,5] x) => (float[2,3,1,1,1] y) { y = GlobalAveragePool(x) }",
                becomes="GlobalAveragePool, 2 Reshape",
            ),
            rewritten(
                "largest",
                "(float[3,3,D,4,5] x) => (float[3,3,1,1,1] y) { y = GlobalMaxPool(x) }",
                becomes="GlobalMaxPool, 2 Reshape",
            ),
            rewritten(
                "Lp",
                "(float[1,3,2,4,5] x) => (float[1,3,1,1,1] y) { y = GlobalLpPool<p=3>(x) }",
                becomes="GlobalLpPool, 2 Reshape",
            ),
            unchanged("one image", "(float[1,3,2,4,5] x) => (float[1,3,1,1,1] y) { y = GlobalMaxPool(x) }"),
        )
