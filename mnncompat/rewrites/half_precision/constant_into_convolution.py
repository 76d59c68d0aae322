"""Constants that the result of a convolution is multiplied by or added to, in its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import helper

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.relations.half_convolutions import convolution_and_constant

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_LEAST, _MOST = 2.0**-12, 2.0**12


class ConstantIntoConvolution(NodeRewrite):
    """Compute a constant factor or summand of a convolution's result into its weights and bias.

    **What.** Mul, Div, Add or Sub of the result of a Conv with constant weights by a number, or by one number for each
    channel, for half precision.

    **Why.** In float16 the constant is rounded, which makes all of the result too large or too small by the same
    share, and the result is rounded once more.

    **Before and after**::

        y = Conv(x, w, b) * s + t
        y = Conv(x, w s, b s + t)

    **Algebra.** A convolution is linear. The products are computed in double precision.

    **Why this form.** One operator less for each constant. Measured on an emulated Cortex-A76, `precision = low`:
    PP-OCRv4 detection of a page comes from 42.3 to 44.5 dB with it and more convolutions in parts (MNN845); a chain of
    12 convolutions with random weights has 60.9 dB either way.

    **Refuses** factors that would bring the largest weight out of the range in which float16 has all of its bits.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp runs in float16
    """

    code = "MNN846"
    name = "constant-into-convolution"
    summary = "computed into the weights of the convolution"
    for_half_precision = True
    op_types = ("Add", "Div", "Mul", "Sub")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the convolution."""
        found = convolution_and_constant(node)
        if found is None:
            raise NotApplicable("it follows no convolution")
        convolution, constant = found
        weight = new.value(convolution.input[1]).constant
        has_bias = len(convolution.input) > 2 and bool(convolution.input[2])  # noqa: PLR2004 - a bias
        bias = new.value(convolution.input[2]).constant if has_bias else np.zeros(1)
        if weight is None or bias is None:
            raise NotApplicable("its weights are computed at run time")
        scaled, moved = _folded(node.node.op_type, constant, weight.astype(np.float64), bias.astype(np.float64))
        largest = float(np.abs(scaled).max(initial=0.0))
        if not _LEAST < largest < _MOST:
            raise NotApplicable(f"the largest weight would be {largest:.3g}")
        whole = np.broadcast_to(moved, weight.shape[:1])
        kept = {each.name: helper.get_attribute_value(each) for each in convolution.attribute}
        operands = (each.astype(weight.dtype) for each in (scaled, whole))
        return new.op("Conv", new.value(convolution.input[0]), *map(new.constant, operands), **kept)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A factor and a summand, one for each channel; what is read twice, along another axis, and float32."""
        text = "(float[1,2,5,4] x) => (float[1,3,3,2] y) <float {1} s = {2}> {{ c = Conv({0}) y = {3}(c, s) }}"
        size, biased = {"w": (3, 2, 3, 3)}, {"w": (3, 2, 3, 3), "b": (3,)}
        number = ("[1]", "{0.7}")
        each = ("[3,1,1]", "{0.7, 0.2, 1.1}")
        return (
            rewritten("factor", text.format("x, w, b", *number, "Mul"), becomes="Conv", precision="low", **biased),
            rewritten("divisor", text.format("x, w", *each, "Div"), becomes="Conv", precision="low", **size),
            rewritten("summand", text.format("x, w", *each, "Add"), becomes="Conv", precision="low", **size),
            rewritten("subtrahend", text.format("x, w", *number, "Sub"), becomes="Conv", precision="low", **size),
            unchanged("along the columns", text.format("x, w", "[2]", "{0.7, 0.2}", "Mul"), precision="low", **size),
            unchanged(
                "read twice",
                """(float[1,2,5,4] x) => (float[1,3,3,2] y, float[1,3,3,2] z) <float s = {0.7}> {
                c = Conv(x, w) y = Mul(c, s) z = Relu(c) }""",
                precision="low",
                **size,
            ),
            unchanged("in float32", text.format("x, w", *number, "Mul"), **size),
        )


def _folded(op: str, constant: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of the convolution with the operator behind it."""
    numbers = constant.ravel().astype(np.float64)
    if op in ("Add", "Sub"):
        return weight, bias + (numbers if op == "Add" else -numbers)
    factors = 1 / numbers if op == "Div" else numbers
    return weight * factors.reshape(-1, *[1] * (weight.ndim - 1)), bias * factors
