"""Gemm whose constant addend has the shape of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class GemmFullBias(NodeRewrite):
    """Give the constant addend of Gemm the shape of the result.

    **What.** Gemm with an addend of shape (m, 1) where the result is (m, m); in branches and bodies, with an addend of
    one element.

    **Why.** MNN treats every constant with as many elements as there are columns as a bias of the columns. In a branch
    it takes a value of the graph around it for a vector, and gives a product a third dimension if one element is added.

    **Before and after**::

        y = Gemm(a, b, c)                    c: (m, 1)   y: (m, m)
        y = Gemm(a, b, c')                   c': (m, m), or (1, n) of one element

    **Algebra.** The definition of broadcasting.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/ConvBiasAdd.cpp (``biasInfo->size == outputCount``)
    """

    code = "MNN923"
    name = "gemm-full-bias"
    summary = "its addend is given the shape of the result"
    op_types = ("Gemm",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:
        """Emit the product with a larger constant."""
        one, two, _ = new.inputs()
        columns = two.dim(0 if node.attribute("transB") else 1)
        rows = 1 if new.array(2).size == 1 else one.dim(1 if node.attribute("transA") else 0)
        full = np.ascontiguousarray(np.broadcast_to(new.array(2), (rows, columns)))
        return new.clone_node(one, two, new.constant(full))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """An addend for each row, one for each column, and one of one element in a branch."""
        text = "(float[4,3] a) => (float[4,4] y) { y = Gemm(a, w, c) }"
        branch = """(float[3,R] a, bool t) => (float[R,4] y) { y = If<then_branch = one () => (float[R,4] p) {
            p = Gemm<transA=1>(a, w, c) }, else_branch = two () => (float[R,4] q) { q = Gemm<transA=1>(a, w) }>(t) }"""
        return (
            rewritten("one for each row", text, becomes="Gemm", w=(3, 4), c=(4, 1)),
            rewritten("one element in a branch", branch, becomes="If{Gemm | Gemm}", w=(3, 4), c=()),
            unchanged("one element", text, w=(3, 4), c=(1,)),
            unchanged("one for each column", text, w=(3, 4), c=(4,)),
        )
