"""EyeLike and a cast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CastEye(NodeRewrite):
    """Cast the result of EyeLike to the type that it should have.

    **What.** EyeLike of one type with ``dtype`` of another.

    **Why.** MNN ignores ``dtype``.

    **Before and after**::

        y = EyeLike<dtype = float>(x)                     x is int32
        y = Cast<to = float>(EyeLike(x))

    **Algebra.** 0 and 1 are 0 and 1 in every type.

    **Source.** https://onnx.ai/onnx/operators/onnx__EyeLike.html
    """

    code = "MNN829"
    name = "cast-eye"
    summary = "cast to its dtype"
    op_types = ("EyeLike",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the cast."""
        return new.op("Cast", new.clone_node(dtype=None)[0], to=node.attribute("dtype"))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both directions; and equal types, which stay unchanged."""
        return (
            rewritten(
                "to float", "(int32[3,4] x) => (float[3,4] y) { y = EyeLike<dtype=1, k=1>(x) }", becomes="Cast, EyeLike"
            ),
            rewritten(
                "to int64", "(float[3,4] x) => (int64[3,4] y) { y = EyeLike<dtype=7>(x) }", becomes="Cast, EyeLike"
            ),
            unchanged("float", "(float[3,4] x) => (float[3,4] y) { y = EyeLike<dtype=1>(x) }"),
        )
