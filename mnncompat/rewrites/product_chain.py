"""CumProd as a chain of multiplications."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import NotApplicable

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.sketch import Sketch, Value

_LONGEST = 256


class ProductChain(NodeRewrite):
    """Write CumProd as a chain of multiplications.

    **What.** CumProd along an axis of up to 256 elements.

    **Why.** MNN has no CumProd.

    **Before and after**::

        y = CumProd(x, 1)                                 x is [2, 3]
        a, b, c = Split(x)
        y = Concat(a, a * b, a * b * c)

    **Algebra.** The definition, in its order. An exclusive product is that of the operand without its last element and
    with a one in front.

    **Why this form.** Doubling the stride in each step has fewer operators, but multiplies in another order, in which
    other intermediate products overflow.

    **Refuses** an axis that is computed at run time, of dynamic size, or longer.

    **Source.** https://onnx.ai/onnx/operators/onnx__CumProd.html
    """

    code = "MNN833"
    name = "product-chain"
    summary = "written as a chain of multiplications"
    op_types = ("CumProd",)

    def build(self, node: NodeFacts, new: Sketch) -> Value:
        """Draw the chain."""
        x = new.input(0)
        (axis,) = new.integers(1)
        axis %= x.rank
        size = x.dim(axis)
        if not 1 <= size <= _LONGEST:
            raise NotApplicable(f"there are {size} elements along axis {axis}; 1 to {_LONGEST} are handled")
        parts = new.split(x, [1] * size, axis)
        if node.attribute("reverse"):
            parts.reverse()
        if node.attribute("exclusive"):
            pads = [0] * (2 * x.rank)
            first = new.slice(x, [0], [1], [axis], None)
            pads[axis] = 1
            one = new.slice(new.pad(first, pads, 1), [0], [1], [axis])
            parts = [one, *parts[:-1]]
        products = list(accumulate(parts, lambda product, part: product * part))
        return new.concat(products[::-1] if node.attribute("reverse") else products, axis)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """All forms; an axis that is an input; and CumSum."""
        text = "(float[2,N,4] x) => (float[2,N,4] y) <int64 axis = {-1}> { y = CumProd(x, axis) }"
        return (
            taken("plain", text, opset=26),
            taken(
                "exclusive",
                "(float[2,3] x) => (float[2,3] y) <int64 axis = {0}> { y = CumProd<exclusive=1>(x, axis) }",
                opset=26,
            ),
            taken(
                "exclusive, reverse",
                "(int32[2,3] x) => (int32[2,3] y) <int64 axis = {1}> { y = CumProd<exclusive=1, reverse=1>(x, axis) }",
                opset=26,
            ),
            left(
                "axis",
                "computed at run time",
                "(float[2,3] x, int64 a) => (float[2,3] y) { y = CumProd(x, a) }",
                opset=26,
            ),
            left("sum", "", "(float[2,3] x) => (float[2,3] y) <int64 axis = {1}> { y = CumSum(x, axis) }", opset=26),
        )
