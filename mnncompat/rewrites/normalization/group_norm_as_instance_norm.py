"""GroupNormalization as InstanceNormalization of reshaped groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.values import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_SCALE_PER_CHANNEL = 21


class GroupNormAsInstanceNorm(NodeRewrite):
    """Write GroupNormalization as InstanceNormalization of groups that are laid out as channels.

    **What.** GroupNormalization of an operand of known rank.

    **Why.** MNN's converter registers no GroupNormalization.

    **Before and after**::

        y = GroupNormalization<num_groups = G>(x, scale, bias)
        r = Reshape(x, [0, G, -1])
        y = Reshape(InstanceNormalization(r, ones, zeros), Shape(x)) * scale + bias

    **Algebra.** The elements of a group stand in a row. Scale and bias are one number per channel, below opset 21 one
    per group.

    **Why this form.** PyTorch exports GroupNorm like this, and MNN runs it as one LayerNorm between two reshapes.

    **Source.** https://onnx.ai/onnx/operators/onnx__GroupNormalization.html
    """

    code = "MNN840"
    name = "group-norm-as-instance-norm"
    summary = "written as InstanceNormalization of its groups"
    op_types = ("GroupNormalization",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the normalisation and the scale."""
        x, scale, bias, groups = new.input(0), new.input(1), new.input(2), node.attribute("num_groups")
        if groups < 1:
            raise NotApplicable(f"num_groups {groups}")
        batch = x.dims[0]
        rows = new.reshape(x, [batch if isinstance(batch, int) else 0, groups, -1])
        ones, zeros = (new.constant(np.full(groups, each, x.element)) for each in (1, 0))
        result = new.op("InstanceNormalization", rows, ones, zeros, epsilon=node.attribute("epsilon"))
        if node.opset < _SCALE_PER_CHANNEL:
            result = result * new.unsqueeze(scale, [1]) + new.unsqueeze(bias, [1])
        static = [dim for dim in x.dims if isinstance(dim, int)]
        result = new.reshape(result, static) if len(static) == x.rank else new.op("Reshape", result, new.op("Shape", x))
        if node.opset < _SCALE_PER_CHANNEL:
            return result
        axes = list(range(1, x.rank - 1))
        return result * new.unsqueeze(scale, axes) + new.unsqueeze(bias, axes)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A dynamic size, parameters at run time; and InstanceNormalization."""
        return (
            rewritten(
                "per channel, dynamic",
                "(float[N,6,4] x) => (float[N,6,4] y) { y = GroupNormalization<num_groups=3>(x, s, b) }",
                becomes="Add, InstanceNormalization, Mul, 2 Reshape, Shape, 2 Unsqueeze",
                opset=21,
                s=(6,),
                b=(6,),
            ),
            rewritten(
                "at run time",
                """(float[2,4,3,3] x, float[4] s, float[4] b) => (float[2,4,3,3] y) {
                y = GroupNormalization<num_groups=4, epsilon=0.1>(x, s, b) }""",
                becomes="Add, InstanceNormalization, Mul, 2 Reshape, 2 Unsqueeze",
                opset=21,
            ),
            unchanged(
                "InstanceNormalization",
                "(float[2,6,4] x) => (float[2,6,4] y) { y = InstanceNormalization(x, s, b) }",
                opset=21,
                s=(6,),
                b=(6,),
            ),
        )
