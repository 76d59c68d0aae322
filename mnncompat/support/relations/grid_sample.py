"""Relations of GridSample: the positions of its grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import ARITHMETIC, RESHAPES, ROUNDINGS
from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLOSE = 1e-4
"""As a share of an element: a position nearer to a half may be rounded either way."""

# Sums and differences of whole numbers are whole.
_ARITHMETIC = ARITHMETIC | RESHAPES | {"Abs", "Clip", "Concat", "Max", "Min", "Neg", "Transpose"}


@relation(
    holds=(
        "(float[1,1,2,2] x) => (float[1,1,1,1] y) <float[1,1,1,2] g = {0.5, 0.5}> { y = "
        'GridSample<mode="nearest">(x, g) }'
    ),
    fails=(
        "(float[1,1,2,2] x) => (float[1,1,1,1] y) <float[1,1,1,2] g = {0.0, 0.0}> { y = "
        'GridSample<mode="nearest">(x, g) }'
    ),
)
def grid_avoids_half_positions(facts: NodeFacts) -> bool | None:
    """No position of the grid lies half way between two elements: it is a constant, or made of rounded positions."""
    grid = facts.value_through_casts(facts.node.input[1])
    if grid is not None:
        shape = facts.shape(facts.node.input[0])
        return (
            None
            if shape is None
            else _avoids_halves(grid, shape[:1:-1], corners=bool(facts.attribute("align_corners")))
        )
    pending, seen, rounded = [facts.node.input[1]], set[str](), False
    while pending:
        name = pending.pop()
        node = facts.view.producer(name)
        if name in seen or facts.value_through_casts(name) is not None:
            continue
        seen.add(name)
        if node is None or node.op_type not in _ARITHMETIC | ROUNDINGS:
            return False
        if node.op_type in ROUNDINGS:
            rounded = True
        else:
            pending.extend(node.input[:1] if node.op_type in RESHAPES else node.input)
    return rounded


def _avoids_halves(grid: NDArray[Any], sizes: Sequence[Dim], *, corners: bool) -> bool | None:
    lengths = [size for size in sizes if isinstance(size, int)]
    if len(lengths) != len(sizes):
        return None
    shares, counts = grid.astype(np.float64) + 1, np.asarray(lengths)
    places = shares / 2 * (counts - 1) if corners else (shares * counts - 1) / 2
    return bool(np.all(np.abs(places - np.floor(places) - 0.5) > _CLOSE))
