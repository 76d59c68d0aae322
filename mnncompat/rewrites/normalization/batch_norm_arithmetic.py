"""BatchNormalization as arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_ALWAYS_SPATIAL = 9  # opset


class BatchNormArithmetic(NodeRewrite):
    """Write BatchNormalization as a multiplication and an addition per channel.

    **What.** BatchNormalization whose scale, bias, mean or variance is computed at run time, in training mode,
    after a 3-D ConvTranspose, or with ``spatial = 0`` (opset 7 and 8).

    **Why.** MNN's converter crashes unless all four are constant, does not know training mode, and merges a
    BatchNormalization after a 3-D ConvTranspose into it as a bias that is added to part of the depth only. It does not
    read ``spatial``.

    **Before and after**::

        y = BatchNormalization(x, scale, bias, mean, var)
        k = scale / Sqrt(var + epsilon)
        y = x * k + (bias - mean * k)                     k and the sum as [C, 1, 1],
                                                          with spatial = 0 as they are

    **Algebra.** The definition. In training mode mean and variance are those of the batch, and the running ones keep
    ``momentum`` parts of their old value.

    **Why this form.** Two operators work on the whole tensor, the others on one number per channel, or per position of
    one sample.

    **Refuses** an operand of unknown rank, and ``spatial = 0`` with statistics that are not of a sample's rank.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxBatchNormMerge.cpp
    """

    code = "MNN826"
    name = "batch-norm-arithmetic"
    summary = "written as arithmetic"
    op_types = ("BatchNormalization",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the arithmetic."""
        x, scale, bias, mean, variance = (new.input(position) for position in range(5))
        per_position = node.opset < _ALWAYS_SPATIAL and node.attribute("spatial") == 0
        if per_position and any(each.rank != x.rank - 1 for each in (scale, bias, mean, variance)):
            raise NotApplicable(f"spatial is 0, and scale, bias, mean and variance are not of rank {x.rank - 1}")
        running: list[Value | None] = []
        if node.attribute("training_mode"):
            if not x.is_float or x.rank < 2:  # noqa: PLR2004 - batch and channels
                raise NotApplicable(f"the batch has no channels: its rank is {x.rank}")
            running, mean, variance = _of_batch(node, new, x, mean, variance)
        factor = scale / new.op("Sqrt", variance + node.attribute("epsilon"))
        offset = bias - mean * factor
        axes = [] if per_position else list(range(1, x.rank - 1))
        result = x * _channels(new, factor, axes) + _channels(new, offset, axes)
        return [result, *running]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One operand at run time, all of them, training; and constants."""
        return (
            *_operands_at_run_time(),
            *_other_statistics(),
            unchanged(
                "a single position",
                "(float[2,3,1,1] x) => (float[2,3,1,1] y) { y = BatchNormalization<spatial=0>(x, s, b, b, var) }",
                opset=8,
                s=(3, 1, 1),
                b=(3, 1, 1),
                var=(3, 1, 1),
            ),
            refused(
                "a gain of the wrong rank",
                "not of rank 3",
                "(float[2,3,2,2] x) => (float[2,3,2,2] y) { y = BatchNormalization<spatial=0>(x, s, b, b, var) }",
                opset=8,
                s=(3, 2),
                b=(3, 2, 2),
                var=(3, 2, 2),
            ),
            unchanged(
                "constants",
                "(float[2,3,4,4] x) => (float[2,3,4,4] y) { y = BatchNormalization(x, s, b, b, var) }",
                opset=15,
                s=(3,),
                b=(3,),
                var=(3,),
            ),
        )


def _operands_at_run_time() -> tuple[Example, ...]:
    """Operands that are no constants."""
    return (
        rewritten(
            "mean at run time",
            "(float[2,3,4,4] x, float[3] m) => (float[2,3,4,4] y) { y = BatchNormalization(x, s, b, m, var) }",
            becomes="2 Add, Div, 2 Mul, Sqrt, Sub, 2 Unsqueeze",
            opset=9,
            s=(3,),
            b=(3,),
            var=(3,),
        ),
        rewritten(
            "all at run time",
            """(float[2,3,4] x, float[3] s, float[3] v) => (float[2,3,4] y) {
            p = Exp(v) y = BatchNormalization<epsilon=0.1>(x, s, v, s, p) }""",
            becomes="2 Add, Div, Exp, 2 Mul, Sqrt, Sub, 2 Unsqueeze",
            opset=15,
        ),
        rewritten(
            "behind a 3-D ConvTranspose",
            """(float[1,2,2,3,4] x) => (float[1,3,4,6,8] y) {
            c = ConvTranspose<kernel_shape=[2,2,2], strides=[2,2,2]>(x, w)
            y = BatchNormalization(c, s, b, b, var) }""",
            becomes="2 Add, ConvTranspose, Div, 2 Mul, Sqrt, Sub, 2 Unsqueeze",
            opset=15,
            w=(2, 3, 2, 2, 2),
            s=(3,),
            b=(3,),
            var=(3,),
        ),
    )


def _other_statistics() -> tuple[Example, ...]:
    """Statistics of the batch, and of every position."""
    return (
        rewritten(
            "training",
            """(float[2,3,4] x) => (float[2,3,4] y, float[3] m, float[3] v) {
            y, m, v = BatchNormalization<training_mode=1, epsilon=0.1>(x, s, b, b, var) }""",
            becomes="4 Add, Div, 7 Mul, 2 ReduceMean, Sqrt, Squeeze, 2 Sub, 2 Unsqueeze",
            opset=15,
            s=(3,),
            b=(3,),
            var=(3,),
        ),
        rewritten(
            "a mean for every position",
            """(float[2,3,4,5] x) => (float[2,3,4,5] y) {
            y = BatchNormalization<spatial=0, epsilon=0.1>(x, s, b, m, var) }""",
            becomes="2 Add, Div, 2 Mul, Sqrt, Sub",
            opset=7,
            s=(3, 4, 5),
            b=(3, 4, 5),
            m=(3, 4, 5),
            var=(3, 4, 5),
        ),
        rewritten(
            "a mean for every position of a dynamic batch",
            "(float[N,3,4] x) => (float[N,3,4] y) { y = BatchNormalization<spatial=0>(x, s, b, b, var) }",
            becomes="2 Add, Div, 2 Mul, Sqrt, Sub",
            opset=8,
            s=(3, 4),
            b=(3, 4),
            var=(3, 4),
        ),
    )


def _channels(new: SubgraphBuilder, vector: Value, axes: list[int]) -> Value:
    return new.unsqueeze(vector, axes) if axes else vector


def _of_batch(
    node: NodeFacts, new: SubgraphBuilder, x: Value, mean: Value, variance: Value
) -> tuple[list[Value | None], Value, Value]:
    """The running statistics, and those of the batch."""
    momentum = node.attribute("momentum")
    axes = [axis for axis in range(x.rank) if axis != 1]
    centre = new.reduce("ReduceMean", x, axes)
    apart = x - centre
    spread = new.reduce("ReduceMean", apart * apart, axes, keepdims=False)
    centre = new.squeeze(centre, axes)
    running: list[Value | None] = [
        old * momentum + now * (1 - momentum) for old, now in ((mean, centre), (variance, spread))
    ]
    return running, centre, spread
