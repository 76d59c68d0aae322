"""Nodes in an order in which each value is computed before it is read."""

from __future__ import annotations

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import SettledWhenRead


class SortNodes(SettledWhenRead):
    """Write the nodes in an order in which each value is computed before it is read.

    **What.** Graphs, bodies and functions with a node that stands before one whose result it reads, as some converters
    to half precision write them.

    **Why.** ONNX wants the nodes sorted. ONNX Runtime and MNN sort them when they read a model; other tools refuse it.

    **Before and after**::

        y = Relu(a); a = MatMul(x, w)
        a = MatMul(x, w); y = Relu(a)

    **Algebra.** The order of nodes has no other meaning. Nodes that were in order keep their positions.

    **Source.** https://onnx.ai/onnx/repo-docs/IR.html#graphs (nodes are topologically sorted)
    """

    code = "MNN960"
    name = "sort-nodes"
    summary = "sorted"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A reader before its producer, in a branch as well; and nodes in order."""
        branches = """then_branch = one () => (float[2] p) { p = Exp(q) q = Neg(x) },
            else_branch = two () => (float[2] r) { r = Abs(x) }"""
        return (
            rewritten("reader first", "(float[2] x) => (float[2] y) { y = Exp(a) a = Neg(x) }", becomes="Exp, Neg"),
            rewritten(
                "in a branch",
                f"(float[2] x, bool c) => (float[2] y) {{ y = If<{branches}>(c) }}",
                becomes="If{Exp, Neg | Abs}",
            ),
            unchanged("sorted", "(float[2] x) => (float[2] y) { a = Neg(x) y = Exp(a) }"),
        )
