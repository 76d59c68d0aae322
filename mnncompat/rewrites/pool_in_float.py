"""MaxPool of bytes computed in float."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.base import Example
    from mnncompat.rewrites.sketch import Sketch, Value


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

    def build(self, node: NodeFacts, new: Sketch) -> list[Value | None]:  # noqa: ARG002
        """Draw the pool between two casts."""
        values, *indices = new.again(new.cast(new.input(0), TensorProto.FLOAT), outputs=2 if new.wants(1) else 1)
        return [new.cast(values, TensorProto.UINT8), *indices]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Unsigned bytes, and signed ones."""
        return (
            taken(
                "unsigned",
                """(uint8[1,3,6,6] x) => (uint8[1,3,5,5] y)
                { y = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x) }""",
            ),
            taken(
                "1-D, no strides",
                "(uint8[N,3,6] x) => (uint8[N,3,5] y) { y = MaxPool<kernel_shape=[2]>(x) }",
            ),
            left(
                "signed",
                "",
                """(int8[1,3,6,6] x) => (int8[1,3,5,5] y)
                { y = MaxPool<kernel_shape=[2,2], strides=[1,1]>(x) }""",
            ),
        )
