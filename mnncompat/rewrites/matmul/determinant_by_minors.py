"""Det of small matrices by its minors."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_LARGEST = 4


class DeterminantByMinors(NodeRewrite):
    """Write the determinant of a small matrix as sums of products.

    **What.** Det of matrices of up to four rows.

    **Why.** MNN's elimination exchanges rows without changing the sign for each exchange.

    **Before and after**::

        y = Det(x)                                        x is [N, 2, 2]
        y = x[:, 0, 0] * x[:, 1, 1] - x[:, 0, 1] * x[:, 1, 0]

    **Algebra.** Expansion along the last row, minors of the rows above once each.

    **Refuses** larger matrices, whose expansion grows with the factorial and loses precision.

    **Source.** MNN 3.6.1, source/backend/cpu/CPUDet.cpp
    """

    code = "MNN837"
    name = "determinant-by-minors"
    summary = "written as sums of products"
    op_types = ("Det",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the expansion."""
        x = new.input(0)
        size, last = x.dim(-1), x.rank - 1
        if not 1 <= size <= _LARGEST:
            raise NotApplicable(f"the matrices are {size} x {size}; up to {_LARGEST} rows are handled")
        minors: dict[tuple[int, ...], Value] = {}
        for row in range(size):
            entries = [new.slice(x, [row, column], [row + 1, column + 1], [last - 1, last]) for column in range(size)]
            minors = {columns: _expanded(entries, minors, columns) for columns in combinations(range(size), row + 1)}
        return new.squeeze(minors[tuple(range(size))], [last - 1, last])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two and three rows, a batch; and five rows."""
        return (
            rewritten("two rows", "(float[2,2] x) => (float y) { y = Det(x) }", becomes="2 Mul, 4 Slice, Squeeze, Sub"),
            rewritten(
                "three rows",
                "(float[N,3,3] x) => (float[N] y) { y = Det(x) }",
                becomes="Add, 9 Mul, 9 Slice, Squeeze, 4 Sub",
            ),
            refused("five rows", "5 x 5", "(float[5,5] x) => (float y) { y = Det(x) }"),
        )


def _expanded(entries: list[Value], minors: dict[tuple[int, ...], Value], columns: tuple[int, ...]) -> Value:
    """The minor of the first rows and some columns, from the minors of the rows before the last."""
    terms = [
        entries[column] * minors[rest] if (rest := (*columns[:place], *columns[place + 1 :])) else entries[column]
        for place, column in enumerate(columns)
    ]
    result = terms.pop()
    for distance, term in enumerate(reversed(terms)):
        result = result + term if distance % 2 else result - term
    return result
