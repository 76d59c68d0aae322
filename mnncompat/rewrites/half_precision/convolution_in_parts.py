"""Convolutions over many channels, in parts whose sums are short."""

from __future__ import annotations

from math import log, prod
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_TERMS = 24
_IMAGE = 4


class ConvolutionInParts(NodeRewrite):
    """Compute a convolution over many channels in groups of them, and add the results.

    **What.** Conv of one group with constant weights whose sums have 48 terms or more, for half precision.

    **Why.** MNN adds the terms in float16, one after the other: the error grows with the root of their number.

    **Before and after**::

        y = Conv(x, w, b)                                           w: [F, C, 3, 3]
        p = Conv<group=g>(x, [w of C/g channels, ...], [b, 0, ...])   [g F, C/g, 3, 4]
        y = Sum(Split(p))

    **Algebra.** A sum in parts. Their number is the divisor of C for which a part is nearest to 24 terms. A square
    kernel with stride 1 gets a column of zeros, so that MNN does not use Winograd's transforms (MNN990).

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, PP-OCRv4 detection of a page after MNN990
    and MNN991: 37 dB, and 27 of 100,000 pixels of the mask on the other side of the threshold; with parts of about 24
    terms and MNN846 44.4 dB and 8.5. It takes more time and memory: it is applied only where a device or a simulation
    shows that values gain.

    **Refuses** weights that are computed at run time, `auto_pad`, and numbers of channels without a divisor.

    **Source.** MNN 3.6.1, source/backend/arm82/asm/arm64/MNNPackedMatMulFP16.S: sums are kept in float16
    """

    code = "MNN845"
    name = "convolution-in-parts"
    summary = "computed in groups of channels whose results are added"
    for_half_precision = True
    needs_device = True
    op_types = ("Conv",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the groups and their sum."""
        if node.attribute("auto_pad") not in (None, "NOTSET"):
            raise NotApplicable(f"auto_pad is {node.attribute('auto_pad')}")
        weight = new.array(1)
        filters, channels = weight.shape[:2]
        groups = _groups(channels, prod(weight.shape[1:]))
        if groups == 1:
            raise NotApplicable(f"its {channels} channels cannot be divided")
        pads = list(node.attribute("pads") or [0] * (2 * (weight.ndim - 2)))
        if weight.ndim == _IMAGE and weight.shape[2] == weight.shape[3] > 1:
            weight = np.pad(weight, [*[(0, 0)] * (weight.ndim - 1), (0, 1)])
            pads[-1] += 1
        size = weight.shape[2:]
        parts = weight.reshape(filters, groups, channels // groups, *size).swapaxes(0, 1)
        stacked = new.constant(np.ascontiguousarray(parts.reshape(groups * filters, channels // groups, *size)))
        bias = [new.constant(np.pad(new.array(2), (0, (groups - 1) * filters)))] if new.has(2) else []
        every = new.clone_node(new.input(0), stacked, *bias, group=groups, kernel_shape=list(size), pads=pads)[0]
        return new.op("Sum", *new.split(every, [filters] * groups, 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """1x1 and 3x3, a stride; `auto_pad`, one channel, few terms, groups, and float32."""
        text = "(float[1,{0},9,8] x) => (float[1,6,{1},{2}] y) {{ y = Conv<{3}>(x, w, b) }}"
        return (
            *(
                rewritten(name, text.format(*words), becomes="Conv, Split, Sum", precision="low", w=weight, b=(6,))
                for name, words, weight in (
                    ("1x1", (64, 9, 8, "kernel_shape=[1, 1]"), (6, 64, 1, 1)),
                    ("3x3", (12, 9, 8, "pads=[1, 1, 1, 1]"), (6, 12, 3, 3)),
                    ("stride", (8, 4, 3, "strides=[2, 2]"), (6, 8, 3, 3)),
                )
            ),
            refused(
                "auto_pad",
                "auto_pad is",
                text.format(64, 9, 8, 'auto_pad="SAME_UPPER"'),
                precision="low",
                w=(6, 64, 3, 3),
                b=(6,),
            ),
            unchanged(
                "one channel", text.format(1, 1, 1, "kernel_shape=[9, 8]"), precision="low", w=(6, 1, 9, 8), b=(6,)
            ),
            unchanged("few terms", text.format(4, 9, 8, "pads=[1, 1, 1, 1]"), precision="low", w=(6, 4, 3, 3), b=(6,)),
            unchanged("groups", text.format(64, 9, 8, "group=2"), precision="low", w=(6, 32, 1, 1), b=(6,)),
            unchanged("in float32", text.format(64, 9, 8, "kernel_shape=[1, 1]"), w=(6, 64, 1, 1), b=(6,)),
        )


def _groups(channels: int, terms: int) -> int:
    """The divisor of the number of channels that brings sums nearest to 24 terms."""
    divisors = [each for each in range(1, channels + 1) if channels % each == 0]
    return min(divisors, key=lambda each: abs(log(terms / each / _TERMS)))
