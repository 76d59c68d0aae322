"""Causal depthwise convolutions as plain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.support.node_facts import NodeFacts

_PAST, _BIAS = 3, 2


class CausalConv(NodeRewrite):
    """Put the past before the input, and convolve each channel with its kernel.

    **What.** CausalConvWithState.

    **Why.** MNN's converter does not know the operator.

    **Before and after**::

        y, present = CausalConvWithState(x, w, b, past)                 w: (C, 1, k)
        all = Concat(past, x, axis = 2)
        y = Squeeze(Conv(Unsqueeze(all, 2), Unsqueeze(w, 2), b, group = C), 2)
        present = Slice(all, last k - 1)

    **Algebra.** The operator's definition. Without a past there are zeros before the input: padding of the convolution
    if the present state is not used. SiLU is ``y * Sigmoid(y)``. The states of a kernel of 1 have no elements.

    **Refuses** weights of unknown shape.

    **Why this form.** MNN makes of the 1-D form a 2-D depthwise convolution of height 1 as well, with more nodes around
    it.

    **Source.** https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html
    """

    code = "MNN890"
    name = "causal-conv"
    summary = "written as a depthwise convolution behind its past"
    op_types = ("CausalConvWithState",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the Concat, the convolution, the activation and the state."""
        x, weight = new.input(0), new.input(1)
        channels, kernel = weight.dim(0), weight.dim(2)
        past = kernel - 1
        begin = 0
        if past and new.has(_PAST):
            x = new.concat([new.input(_PAST), x], 2)
        elif past and new.is_output_used(1):
            x = new.pad(x, [0, 0, past, 0, 0, 0])
        else:
            begin = past
        constant = weight.constant
        result = new.op(
            "Conv",
            new.unsqueeze(x, [2]),
            new.unsqueeze(weight, [2]) if constant is None else new.constant(constant[:, :, None]),
            new.input(_BIAS) if new.has(_BIAS) else None,
            group=channels,
            kernel_shape=[1, kernel],
            strides=[1, 1],
            pads=[0, begin, 0, 0],
        )
        result = new.squeeze(result, [2])
        if (node.attribute("activation") or "none") != "none":
            result = result * new.op("Sigmoid", result)
        return [result, _present(new, x, past) if new.is_output_used(1) else None]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """With and without past, state and activation."""
        return (
            rewritten(
                "past, state, SiLU",
                """(float[2,4,6] x, float[2,4,2] past) => (float[2,4,6] y, float[2,4,2] present)
                { y, present = CausalConvWithState<activation="silu">(x, w, b, past) }""",
                becomes="Concat, Conv, Mul, Sigmoid, Slice, Squeeze, Unsqueeze",
                opset=27,
                w=(4, 1, 3),
                b=(4,),
            ),
            rewritten(
                "output alone",
                "(float[1,4,L] x, float[4,1,3] w) => (float[1,4,L] y) { y, p = CausalConvWithState(x, w) }",
                becomes="Conv, Squeeze, 2 Unsqueeze",
                opset=27,
            ),
            rewritten(
                "empty state",
                """(float[1,4,6] x) => (float[1,4,6] y, float[1,4,0] present)
                { y, present = CausalConvWithState(x, w) }""",
                becomes="Conv, Slice, Squeeze, Unsqueeze",
                opset=27,
                w=(4, 1, 1),
            ),
            rewritten(
                "empty past, length dynamic",
                """(float[N,4,L] x, float[N,4,0] past) => (float[N,4,L] y, float[N,4,0] present)
                { y, present = CausalConvWithState(x, w, , past) }""",
                becomes="Conv, Identity, Squeeze, Unsqueeze",
                opset=27,
                w=(4, 1, 1),
            ),
            unchanged(
                "plain convolution",
                "(float[1,4,6] x) => (float[1,4,4] y) { h = Conv<group=4>(x, w) y = Sigmoid(h) }",
                opset=27,
                w=(4, 1, 3),
            ),
        )


def _present(new: SubgraphBuilder, x: Value, past: int) -> Value:
    """The last elements; the past itself, or nothing of the input, where a kernel of 1 leaves none."""
    if past:
        return new.slice(x, [-past], [(1 << 31) - 1], [2])
    return new.input(_PAST) if new.has(_PAST) else new.slice(x, [0], [0], [2])
