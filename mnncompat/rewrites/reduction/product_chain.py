"""CumProd as a chain of multiplications."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

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

    **Refuses** an axis of dynamic size, or longer. An axis that is computed at run time is chosen among the products
    along each.

    **Source.** https://onnx.ai/onnx/operators/onnx__CumProd.html
    """

    code = "MNN833"
    name = "product-chain"
    summary = "written as a chain of multiplications"
    op_types = ("CumProd",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the chain; for an axis that is computed at run time, one for each axis."""
        x, axis = new.input(0), new.input(1)
        if axis.constant is not None:
            return _product(node, new, x, int(axis.constant.reshape(())) % x.rank)
        chosen = new.op("Mod", axis, x.rank)
        result = _product(node, new, x, 0)
        for other in range(1, x.rank):
            result = new.op("Where", new.op("Equal", chosen, other), _product(node, new, x, other), result)
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """All forms; an axis of dynamic size, which is refused; and CumSum."""
        text = "(float[2,N,4] x) => (float[2,N,4] y) <int64 axis = {-1}> { y = CumProd(x, axis) }"
        return (
            rewritten("plain", text, becomes="Concat, 3 Mul, Split", opset=26),
            rewritten(
                "axis at run time",
                """(float[2,3] x, int64 k) => (float[2,3] y) <int64 zero = {0}> {
                a = Mul(k, zero) y = CumProd(x, a) }""",
                becomes="2 Concat, Equal, Mod, 4 Mul, 2 Split, Where",
                opset=26,
            ),
            rewritten(
                "exclusive",
                "(float[2,3] x) => (float[2,3] y) <int64 axis = {0}> { y = CumProd<exclusive=1>(x, axis) }",
                becomes="Concat, Mul, Pad, Slice, Split",
                opset=26,
            ),
            rewritten(
                "exclusive, reverse",
                "(int32[2,3] x) => (int32[2,3] y) <int64 axis = {1}> { y = CumProd<exclusive=1, reverse=1>(x, axis) }",
                becomes="Concat, 2 Mul, Pad, Slice, Split",
                opset=26,
            ),
            refused(
                "size",
                "is dynamic",
                "(float[N] x) => (float[N] y) <int64 axis = {0}> { y = CumProd(x, axis) }",
                opset=26,
            ),
            unchanged("sum", "(float[2,3] x) => (float[2,3] y) <int64 axis = {1}> { y = CumSum(x, axis) }", opset=26),
        )


def _product(node: NodeFacts, new: SubgraphBuilder, x: Value, axis: int) -> Value:
    """The products along one axis."""
    size = x.dim(axis)
    if not 1 <= size <= _LONGEST:
        raise NotApplicable(f"there are {size} elements along axis {axis}; 1 to {_LONGEST} are handled")
    parts = new.split(x, [1] * size, axis)
    if node.attribute("reverse"):
        parts.reverse()
    if node.attribute("exclusive"):
        parts = [_one(new, parts[0], axis), *parts[:-1]]
    products = list(accumulate(parts, lambda product, part: product * part))
    return new.concat(products[::-1] if node.attribute("reverse") else products, axis)


def _one(new: SubgraphBuilder, part: Value, axis: int) -> Value:
    """Ones in the shape of a part, whatever its values."""
    pads = [0] * (2 * part.rank)
    pads[axis] = 1
    return new.slice(new.pad(part, pads, 1), [0], [1], [axis])
