"""Round by Floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class RoundByFloor(NodeRewrite):
    """Write Round, which rounds halves to even, with Floor.

    **What.** Round.

    **Why.** MNN's Round takes halves away from zero: 2.5 becomes 3.

    **Before and after**::

        y = Round(x)
        f = Floor(x)
        y = Where(Equal(x - f, 0.5), 2 * Floor(x / 2 + 0.25), f + Cast(Greater(x - f, 0.5), float))

    **Algebra.** x lies between f and f + 1. Where it is half way, x = f + 1/2, the even one of the two is
    2 * floor((f + 1) / 2).

    **Why this form.** ``Floor(x + 0.5)`` is wrong for the largest number below 0.5 and above 2^23, and adding and
    subtracting 1.5 * 2^23 relies on the precision of the backend.

    **Source.** MNN 3.6.1, source/backend/cpu/UnaryUtils.hpp (``roundf``)
    """

    code = "MNN821"
    name = "round-by-floor"
    summary = "written with Floor, halves to even"
    op_types = ("Round",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the arithmetic."""
        x = new.input(0)
        floor = new.op("Floor", x)
        above = x - floor
        nearest = floor + new.cast(new.op("Greater", above, 0.5), x.dtype)
        even = new.op("Floor", x * 0.5 + 0.25) * 2.0
        return new.op("Where", new.op("Equal", above, 0.5), even, nearest)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Any numbers, halves, float16; and Floor."""
        halves = np.arange(-4.5, 5, dtype=np.float32)
        return (
            rewritten(
                "numbers",
                "(float[2,3] x) => (float[2,3] y) { y = Round(x) }",
                becomes="2 Add, Cast, Equal, 2 Floor, Greater, 2 Mul, Sub, Where",
            ),
            rewritten(
                "halves",
                "(float[10] x) => (float[10] y) { z = Mul(x, zero) h = Add(z, halves) y = Round(h) }",
                becomes="3 Add, Cast, Equal, 2 Floor, Greater, 3 Mul, Sub, Where",
                halves=halves,
                zero=np.zeros(1, np.float32),
            ),
            rewritten(
                "float16",
                "(float16[6] x) => (float16[6] y) { y = Round(x) }",
                becomes="2 Add, Cast, Equal, 2 Floor, Greater, 2 Mul, Sub, Where",
            ),
            unchanged("Floor", "(float[2,3] x) => (float[2,3] y) { y = Floor(x) }"),
        )
