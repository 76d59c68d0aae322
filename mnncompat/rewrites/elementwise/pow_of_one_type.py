"""Pow with base and exponent of one type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.graph.tensor_values import element_dtype
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class PowOfOneType(NodeRewrite):
    """Cast the exponent of Pow to the type of its base, or both to double.

    **What.** Pow of a float and an integer, or of an integer and a float; before MNN 3.2 also of two integers.

    **Why.** MNN has no operator that mixes the two; before 3.2 it crashes on exponents that are integers.

    **Before and after**::

        y = Pow(x, n)                                     x float, n int64
        y = Pow(x, Cast(n, float))

        y = Pow(n, x)                                     n int32, x float
        y = Cast(Pow(Cast(n, double), Cast(x, double)), int32)

    **Algebra.** ONNX computes in the larger type and takes the result to that of the base. MNN holds doubles as floats.

    **Source.** MNN 3.6.1, source/shape/ShapeBinaryOp.cpp
    """

    code = "MNN824"
    name = "pow-of-one-type"
    summary = "the exponent is cast"
    op_types = ("Pow",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the casts."""
        base, exponent = new.input(0), new.input(1)
        if base.is_float:
            return new.op("Pow", base, _cast(new, exponent, base.dtype))
        result = new.op("Pow", new.cast(base, TensorProto.DOUBLE), _cast(new, exponent, TensorProto.DOUBLE))
        return new.cast(result, base.dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Mixed both ways, at run time and constant; and of one type."""
        return (
            rewritten(
                "integer exponent", "(float[6] x, int64[6] n) => (float[6] y) { y = Pow(x, n) }", becomes="Cast, Pow"
            ),
            rewritten("constant", "(float[2,3] x) => (float[2,3] y) <int64 n = {3}> { y = Pow(x, n) }", becomes="Pow"),
            rewritten(
                "integer base",
                "(int32[6] n) => (int32[6] y) <float x = {3.0}> { a = Abs(n) y = Pow(a, x) }",
                becomes="Abs, 2 Cast, Pow",
            ),
            unchanged("floats", "(float[2,3] x) => (float[2,3] y) <float n = {3.0}> { y = Pow(x, n) }"),
        )


def _cast(new: SubgraphBuilder, value: Value, to: int) -> Value:
    """A cast, of constants beforehand."""
    constant = value.constant
    if constant is None:
        return new.cast(value, to)
    return new.constant(constant.astype(element_dtype(to)))
