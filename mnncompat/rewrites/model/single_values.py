"""Each value stated once."""

from __future__ import annotations

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import SettledWhenRead


class SingleValues(SettledWhenRead):
    """Keep the last of several initializers or constants of one name.

    **What.** A graph that states a value more than once, with different contents: initializers of one name, or several
    ``Constant`` with one result.

    **Why.** ONNX wants names to be unique. ONNX Runtime takes the last, MNN the first: they compute different models.

    **Before and after**::

        w = {1}; w = {2}; y = Add(x, w)
        w = {2}; y = Add(x, w)

    **Algebra.** None: ONNX Runtime's choice, which is what the result is proven against.

    **Source.** https://github.com/microsoft/onnxruntime (core/graph/graph.cc: "the model will use the latest
    encountered initializer")
    """

    code = "MNN964"
    name = "single-values"
    summary = "stated once"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two initializers, in a branch as well; and one."""
        branches = """then_branch = one () => (float[2] p) <float[2] k = {1, 2}, float[2] k = {3, 4}> { p = Add(x, k) },
            else_branch = two () => (float[2] r) { r = Abs(x) }"""
        twice = "<float[2] w = {1, 2}, float[2] w = {3, 4}>"
        return (
            rewritten("twice", f"(float[2] x) => (float[2] y) {twice} {{ y = Add(x, w) }}", becomes="Add"),
            rewritten(
                "in a branch",
                f"(float[2] x, bool c) => (float[2] y) {{ y = If<{branches}>(c) }}",
                becomes="If{Add | Abs}",
            ),
            unchanged("once", "(float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }"),
        )
