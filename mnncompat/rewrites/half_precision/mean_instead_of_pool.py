"""Global average pools that are added in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class MeanInsteadOfPool(NodeRewrite):
    """Write a global average pool as the mean of its axes.

    **What.** GlobalAveragePool, and AveragePool whose window is the whole of its operand, for half precision.

    **Why.** MNN's pool adds in float16: in large windows a small element changes nothing beside the sum.

    **Before and after**::

        y = GlobalAveragePool(x)
        y = ReduceMean<axes=[2, 3]>(x)

    **Algebra.** ONNX's definition.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, windows of 80 x 80: 12 to 25 dB before, 73
    after. A mean has no place in the layout of convolutions, which costs two conversions, and one detector lost by it:
    it is applied only where a device or a simulation shows that values gain.

    **Refuses** AveragePool with padding, or of an operand of unknown size.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): Pooling runs in float16
    """

    code = "MNN991"
    name = "mean-instead-of-pool"
    summary = "written as the mean of its axes"
    for_half_precision = True
    needs_device = True
    op_types = ("AveragePool", "GlobalAveragePool")
    before = (("convolution-in-parts", "it costs less time, and may be enough"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the mean."""
        x = new.input(0)
        axes = list(range(2, x.rank))
        if node.node.op_type == "AveragePool":
            window = list(node.attribute("kernel_shape"))
            if window != [x.dim(axis) for axis in axes] or any(node.attribute("pads") or ()):
                raise NotApplicable(f"its window {window} is not the whole of '{x.name}'")
        return new.reduce("ReduceMean", x, axes)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both operators; a small operand, a smaller window, and float32."""
        text = "(float[N,3,40,30] x) => (float[N,3,1,1] y) {{ y = {}(x) }}"
        window = "AveragePool<kernel_shape=[40, 30], strides=[1, 1]>"
        return (
            rewritten("global", text.format("GlobalAveragePool"), becomes="ReduceMean", precision="low"),
            rewritten("window", text.format(window), becomes="ReduceMean", precision="low"),
            refused(
                "padding",
                "is not the whole",
                "(float[1,3,40,30] x) => (float[1,3,3,3] y) { y = "
                "AveragePool<kernel_shape=[40, 30], strides=[1, 1], pads=[1, 1, 1, 1]>(x) }",
                precision="low",
            ),
            unchanged(
                "small", "(float[1,3,4,4] x) => (float[1,3,1,1] y) { y = GlobalAveragePool(x) }", precision="low"
            ),
            unchanged("in float32", text.format("GlobalAveragePool")),
        )
