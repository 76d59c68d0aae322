"""EyeLike and a cast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts
    from mnncompat.rewrites.sketch import Sketch, Value


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

    def build(self, node: NodeFacts, new: Sketch) -> Value:
        """Draw the cast."""
        return new.op("Cast", new.again(dtype=None)[0], to=node.attribute("dtype"))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Both directions; and one type."""
        return (
            taken("to float", "(int32[3,4] x) => (float[3,4] y) { y = EyeLike<dtype=1, k=1>(x) }"),
            taken("to int64", "(float[3,4] x) => (int64[3,4] y) { y = EyeLike<dtype=7>(x) }"),
            left("float", "", "(float[3,4] x) => (float[3,4] y) { y = EyeLike<dtype=1>(x) }"),
        )
