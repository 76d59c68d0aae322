"""Convolutions that MNN does not compute by Winograd's transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.target import Target

_LARGE = 128.0
"""The transforms multiply by up to 441: inputs below this number stay below 65504 behind them."""


class KernelsPadded(NodeRewrite):
    """Pad a kernel with a column of zeros, so that MNN does not use Winograd's transforms.

    **What.** Conv of dense square kernels with stride 1 whose input was seen to be above 128, for half precision.

    **Why.** The transforms of the input are computed in float16, where they overflow though the result would not, and
    lose bits where they do not.

    **Before and after**::

        y = Conv<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(x, w)
        y = Conv<kernel_shape=[3, 4], pads=[1, 1, 1, 2]>(x, [w, 0])

    **Algebra.** The last column adds zeros.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, random data: 37 dB by the transforms, 49
    with a padded kernel of 3 columns, 45 of 5. It costs the time that the transforms save, so it is applied only where
    values are large and a device or a simulation shows that values gain.

    **Refuses** weights that are computed at run time, and `auto_pad`.

    **Source.** MNN 3.6.1, source/backend/cpu/compute/ConvolutionFloatFactory.cpp (canUseWinograd: square kernels)
    """

    code = "MNN990"
    name = "kernels-padded"
    summary = "its kernel is padded by a column of zeros"
    for_half_precision = True
    needs_device = True
    op_types = ("Conv",)
    before = (("convolution-in-parts", "it costs less time, and may be enough"),)

    def applies_to(self, view: GraphView, index: int, target: Target) -> bool:
        """True if a row names the rewrite, and the input was not seen to be small."""
        peak = (target.peaks or {}).get(view.nodes[index].input[0])
        return (peak is None or peak > _LARGE) and super().applies_to(view, index, target)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the convolution."""
        if node.attribute("auto_pad") not in (None, "NOTSET"):
            raise NotApplicable(f"auto_pad is {node.attribute('auto_pad')}")
        weight = new.array(1)
        wider = np.pad(weight, [*[(0, 0)] * (weight.ndim - 1), (0, 1)])
        pads = list(node.attribute("pads") or [0] * (2 * (weight.ndim - 2)))
        pads[-1] += 1
        bias = [new.input(2)] if new.has(2) else []
        inputs = (new.input(0), new.constant(wider), *bias)
        return new.clone_node(*inputs, kernel_shape=list(wider.shape[2:]), pads=pads)[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With padding and without; a stride, groups, and float32."""
        text = "(float[1,4,9,8] x) => (float[1,6,{},{}] y) {{ y = Conv<{}>(x, w, b) }}"
        size = {"w": (6, 4, 3, 3), "b": (6,)}
        return (
            rewritten("padded", text.format(9, 8, "pads=[1, 1, 1, 1]"), becomes="Conv", precision="low", **size),
            rewritten("not padded", text.format(7, 6, "kernel_shape=[3, 3]"), becomes="Conv", precision="low", **size),
            unchanged("stride", text.format(4, 3, "strides=[2, 2]"), precision="low", **size),
            unchanged(
                "groups",
                text.format(7, 6, "group=2"),
                precision="low",
                **(size | {"w": (6, 2, 3, 3)}),
            ),
            unchanged("in float32", text.format(9, 8, "pads=[1, 1, 1, 1]"), **size),
        )
