"""Casts in branches and bodies that MNN takes for casts of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CastOfCapturedValue(NodeRewrite):
    """Cast a float of the graph around a branch or a body to float before it is cast to an integer.

    **What.** Cast to int32 or int64, in a branch of If or a body of Loop, of a float that the graph around it computes.

    **Why.** MNN takes such a value for int32, and removes the cast.

    **Before and after**::

        n = Cast(x, to = int64)
        n = Cast(Cast(x, to = float), to = int64)

    **Algebra.** A cast to float of a float is the float.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/onnxOpConverter.cpp (``OnnxScope::buildSubGraph``)
    """

    code = "MNN962"
    name = "cast-of-captured-value"
    summary = "its operand is cast to float first"
    op_types = ("Cast",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit both casts."""
        return new.clone_node(new.op("Cast", new.input(0), to=TensorProto.FLOAT))[0]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A captured value, one computed from it; and values of other types, and of the main graph."""
        return (
            rewritten("captured", _branch("n = Cast<to=7>(x) p = Cast<to=1>(n)"), becomes="If{3 Cast | Abs}"),
            rewritten(
                "computed from one",
                _branch("s = Add(x, x) n = Cast<to=6>(s) p = Cast<to=1>(n)"),
                becomes="If{Add, 3 Cast | Abs}",
            ),
            unchanged("behind Exp", _branch("s = Exp(x) n = Cast<to=7>(s) p = Cast<to=1>(n)")),
            unchanged("main graph", "(float[4] x) => (float[4] y) { n = Cast<to=7>(x) y = Cast<to=1>(n) }"),
        )


def _branch(nodes: str) -> str:
    return f"""(float[4] x, bool c) => (float[4] y) {{ y = If<then_branch = one () => (float[4] p) {{ {nodes} }},
        else_branch = two () => (float[4] q) {{ q = Abs(x) }}>(c) }}"""
