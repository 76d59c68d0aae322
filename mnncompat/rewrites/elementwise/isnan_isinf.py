"""IsInf and IsNaN as comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class IsnanIsinf(NodeRewrite):
    """Write IsInf and IsNaN as comparisons.

    **What.** IsInf and IsNaN.

    **Why.** MNN has neither.

    **Before and after**::

        y = IsInf(x)
        y = Greater(Abs(x), 3.4028235e38)

        y = IsNaN(x)
        y = Not(Or(Greater(x, -1), Greater(Neg(x), 0)))

    **Algebra.** Infinity alone is greater than the largest number of its type. Every number is above -1 or below 0, NaN
    is neither. (``Equal(x, x)``, the usual test, is true for NaN in MNN.)

    **Why this form.** Less is wrong for two negative floats on x86, so that all comparisons are Greater.

    **Source.** https://onnx.ai/onnx/operators/onnx__IsInf.html and onnx__IsNaN.html
    """

    code = "MNN819"
    name = "isnan-isinf"
    summary = "written with comparisons"
    op_types = ("IsInf", "IsNaN")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the comparison."""
        x = new.input(0)
        if node.node.op_type == "IsNaN":
            number = new.op("Or", new.op("Greater", x, -1), new.op("Greater", -x, 0))
            return new.op("Not", number)
        match bool(node.attribute("detect_negative")), bool(node.attribute("detect_positive")):
            case True, True:
                return _is_infinite(new, new.op("Abs", x))
            case True, False:
                return _is_infinite(new, -x)
            case False, True:
                return _is_infinite(new, x)
            case _:
                return new.op("And", finite := _is_infinite(new, x), new.op("Not", finite))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both infinities, one of them, none, and NaN; they are computed, because sampled inputs hold none."""
        return (
            rewritten(
                "infinity",
                "(float[6] x) => (bool[6] y) { z = Div(x, x0) y = IsInf(z) }",
                becomes="Abs, Div, Greater",
                x0=np.zeros(1, np.float32),
            ),
            rewritten(
                "negative",
                "(float[6] x) => (bool[6] y) { z = Div(x, x0) y = IsInf<detect_positive=0>(z) }",
                becomes="Div, Greater, Neg",
                x0=np.zeros(1, np.float32),
            ),
            rewritten(
                "positive",
                "(float[6] x) => (bool[6] y) { z = Div(x, x0) y = IsInf<detect_negative=0>(z) }",
                becomes="Div, Greater",
                x0=np.zeros(1, np.float32),
            ),
            rewritten(
                "neither",
                "(float[6] x) => (bool[6] y) { y = IsInf<detect_negative=0, detect_positive=0>(x) }",
                becomes="And, Greater, Not",
            ),
            rewritten(
                "NaN",
                "(float[6] x) => (bool[6] y) { z = Sqrt(x) y = IsNaN(z) }",
                becomes="2 Greater, Neg, Not, Or, Sqrt",
            ),
            unchanged("a comparison", "(float[6] x) => (bool[6] y) { z = Sqrt(x) y = Greater(x, z) }"),
        )


def _is_infinite(new: SubgraphBuilder, x: Value) -> Value:
    if x.dtype == TensorProto.DOUBLE:  # MNN holds doubles as floats, and the largest double as infinity
        return new.op("Equal", x, np.asarray(np.inf))
    return new.op("Greater", x, x.finite_range[1])
