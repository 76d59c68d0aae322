"""Logarithms whose floor half precision holds."""

from __future__ import annotations

from math import ceil, log, log2
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_functions import floor_of_logarithm

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_NORMAL, _STEP, _MOST, _HIGHEST = -13, 14, 56, 15


class LogScaled(NodeRewrite):
    """Multiply by a power of 2 before the logarithm of a number that may be tiny.

    **What.** Log of ``x + e`` or ``Max(x, e)`` with an ``e`` below 2e-6, for half precision.

    **Why.** Below 6e-5 float16 loses bits of a number, and below 6e-8 it is 0.

    **Before and after**::

        y = Log(x + 1e-8)
        b = x > 2  y = Log(Where(b, x, x * 2^14 + 1e-8 * 2^14)) - Where(b, 0, 14 * Log(2))

    **Algebra.** ``log(x + e) = log(k * x + k * e) - log(k)``. Above the bound, where ``k * x`` would overflow, float32
    holds nothing of ``e`` beside ``x``.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, 1e-8 and zeros: -69 dB before, 46 to 76
    after.

    **Refuses** an ``e`` below 1e-21, which takes more than four multiplications.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp and UnaryOp run in float16
    """

    code = "MNN985"
    name = "log-scaled"
    summary = "its operand is multiplied by a power of 2 where it is small"
    for_half_precision = True
    op_types = ("Log",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the logarithm of what is selected."""
        found = floor_of_logarithm(node)
        if found is None:
            raise NotApplicable("it has no floor")
        name, floor, limiting = found
        bits = ceil(_NORMAL - log2(floor))
        if bits > _MOST:
            raise NotApplicable(f"{floor:g} is below what four multiplications bring into half precision")
        x = new.value(name)
        is_large = new.op("Greater", x, 2.0 ** (_HIGHEST - bits))
        multiplied = x
        for done in range(0, bits, _STEP):
            multiplied = multiplied * 2.0 ** min(_STEP, bits - done)
        least = floor * 2.0**bits
        small = multiplied + least if limiting.op_type == "Add" else new.op("Max", multiplied, least)
        chosen = new.op("Log", new.op("Where", is_large, x, small))
        return chosen - new.op("Where", is_large, new.scalar(0.0, x), new.scalar(bits * log(2), x))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A number added, a limit; a number that half precision holds, and one that is too small."""
        text = "(float[2,3] x) => (float[2,3] y) <float e = {{{}}}> {{ p = Abs(x) a = {}(p, e) y = Log(a) }}"
        return (
            rewritten(
                "added",
                text.format("1e-8", "Add"),
                becomes="Abs, Add, Greater, Log, Mul, Sub, 2 Where",
                precision="low",
            ),
            rewritten(
                "a limit far below",
                text.format("1e-12", "Max"),
                becomes="Abs, Greater, Log, Max, 2 Mul, Sub, 2 Where",
                precision="low",
            ),
            refused("too small", "1e-30 is below", text.format("1e-30", "Max"), precision="low"),
            unchanged("a number that float16 holds", text.format("1e-4", "Add"), precision="low"),
            unchanged("in float32", text.format("1e-8", "Add")),
        )
