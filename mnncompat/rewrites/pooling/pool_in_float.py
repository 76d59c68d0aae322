"""MaxPool of bytes computed in float."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class PoolInFloat(NodeRewrite):
    """Pool unsigned bytes as floats.

    **What.** MaxPool of uint8.

    **Why.** MNN compares the bytes as if they had a sign: 200 is less than 100.

    **Before and after**::

        y = MaxPool(x)
        y = Cast(MaxPool(Cast(x, to = float)), to = uint8)

    **Algebra.** float32 holds every byte exactly.

    **Refuses** nothing.

    **Source.** https://onnx.ai/onnx/operators/onnx__MaxPool.html
    """

    code = "MNN902"
    name = "pool-in-float"
    summary = "computed in float"
    op_types = ("MaxPool",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:  # noqa: ARG002
        """Emit the pool between two casts."""
        values, *indices = new.clone_node(
            new.cast(new.input(0), TensorProto.FLOAT), outputs=2 if new.is_output_used(1) else 1
        )
        return [new.cast(values, TensorProto.UINT8), *indices]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Unsigned bytes, and signed ones."""
        return (
            rewritten(
                "unsigned",
                """(uint8[1,3,6,6] x) => (uint8[1,3,5,5] y)
                { y = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x) }""",
                becomes="2 Cast, MaxPool",
            ),
            rewritten(
                "1-D, no strides",
                "(uint8[N,3,6] x) => (uint8[N,3,5] y) { y = MaxPool<kernel_shape=[2]>(x) }",
                becomes="2 Cast, MaxPool",
            ),
            unchanged(
                "signed",
                """(int8[1,3,6,6] x) => (int8[1,3,5,5] y)
                { y = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x) }""",
            ),
        )
