"""Several masks of scores, of which the sum is in the range of half precision."""

from __future__ import annotations

from math import floor, log2
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.support.relations.half_masks import masked_scores

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_LOWEST = -6e4
_ALIKE = 1e6
_BITS = 23
"""Of the fraction of a float32."""


class MasksSelected(NodeRewrite):
    """Select masked scores instead of adding large numbers to them.

    **What.** Softmax of scores to which several masks of -1e5 or less are added, such as one of padding and one of
    causality, for half precision.

    **Why.** Each of them is -65504 in float16, and their sum is infinite: where all keys of a query are masked, the
    result is NaN.

    **Before and after**::

        y = Softmax(x + m * -1e9 + c)                                c: 0 and -1e9
        t = m * -3e4 + Max(c, -3e4)  y = Softmax(Where(t < 0, t + 64 * Floor(x / 64 + 0.5), x))

    **Algebra.** Softmax is 0 wherever another key is masked less often; how far below makes no difference. Beside -1e9
    float32 keeps multiples of 64 of a score, beside -3.4e38 nothing. Masks are 0 and 1.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, a query whose keys are all masked: NaN
    before, 71 dB after.

    **Refuses** masks of numbers so different that float32 keeps nothing of the smaller one.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp runs in float16
    """

    code = "MNN994"
    name = "masks-selected"
    summary = "masked scores are selected"
    for_half_precision = True
    op_types = ("Softmax",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit Softmax of what is selected."""
        found = masked_scores(node.view, node.node.input[0])
        sizes = [mask.least for mask in found.masks]
        if max(sizes) > _ALIKE * min(sizes):
            raise NotApplicable(f"its masks are of {-max(sizes):.3g} and of {-min(sizes):.3g}")
        level = _LOWEST / len(sizes)
        scores = _total([new.value(name) for name in found.scores])
        masks: list[Value] = []
        for mask in found.masks:
            if mask.constant is None:
                masks.append(new.value(mask.value) * level)
            else:
                masks.append(new.constant(np.maximum(mask.constant, level).astype(mask.constant.dtype)))
        total = _total(masks)
        kept = 2.0 ** (floor(log2(min(sizes))) - _BITS)
        masked = total
        if kept < -level:
            masked = total + new.op("Floor", scores * (1 / kept) + 0.5) * kept
        chosen = new.op("Where", new.op("Greater", new.scalar(0.0, total), total), masked, scores)
        return new.clone_node(chosen)[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A computed mask beside a constant one, and two computed ones; one mask, small numbers, and float32."""
        causal = {"c": np.triu(np.full((1, 4, 4), -1e9, np.float32), 1)}
        text = """(float[2,4,4] x, bool[2,1,4] m) => (float[2,4,4] y) <float b = {{{}}}> {{
            n = Cast<to=1>(m) k = Mul(n, b) {} y = Softmax<axis=-1>(a) }}"""
        two = "s = Add(x, c) a = Add(s, k)"
        return (
            rewritten(
                "padding and causality",
                text.format("-1e9", two),
                becomes="3 Add, Cast, Floor, Greater, 3 Mul, Softmax, Where",
                precision="low",
                **causal,
            ),
            rewritten(
                "computed ones",
                """(float[2,4,4] x, bool[2,1,4] m, bool[2,4,1] o) => (float[2,4,4] y) <float b = {-3.4e38}> {
                n = Cast<to=1>(m) k = Mul(n, b) p = Cast<to=1>(o) q = Mul(b, p) s = Add(x, k) a = Add(s, q)
                y = Softmax<axis=-1>(a) }""",
                becomes="Add, 2 Cast, Greater, 2 Mul, Softmax, Where",
                precision="low",
            ),
            refused(
                "masks of different sizes",
                "its masks are of -3.4e+38 and of -1e+09",
                text.format("-3.4e38", two),
                precision="low",
                **causal,
            ),
            unchanged("one mask", text.format("-1e9", "a = Add(x, k)"), precision="low"),
            unchanged("small numbers", text.format("-1e3", two), precision="low", **causal),
            unchanged("in float32", text.format("-1e9", two), **causal),
        )


def _total(values: list[Value]) -> Value:
    total = values[0]
    for each in values[1:]:
        total = total + each
    return total
