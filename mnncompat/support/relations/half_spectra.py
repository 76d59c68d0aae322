"""Relations of magnitudes of two parts, such as those of a spectrum: their squares overflow in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.support.relations.half_norms import limited, producer, squared
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts


class TwoSquares(NamedTuple):
    """The sum of the squares of two values.

    Attributes:
        first: Name of one.
        second: Name of the other.
        added: A number that is added to the sum.
        floor: A number that the sum does not fall below.
    """

    first: str
    second: str
    added: float = 0.0
    floor: float = 0.0


@relation(
    holds="(float[2] a, float[2] b) => (float[2] y) { p = Mul(a, a) q = Mul(b, b) s = Add(p, q) y = Sqrt(s) }",
    fails="(float[2] a, float[2] b) => (float[2] y) { p = Mul(a, a) q = Abs(b) s = Add(p, q) y = Sqrt(s) }",
    behind=("Add", "Max", "Clip"),
)
def sum_of_two_squares_is_read(facts: NodeFacts) -> bool:
    """Root or logarithm of the sum of two squares: the magnitude of complex numbers."""
    return squares_of(facts) is not None


def squares_of(facts: NodeFacts) -> TwoSquares | None:
    """The squares whose sum a node reads; None of others."""
    return _two_squares(facts.view, facts.node.input[0])


def _two_squares(view: GraphView, name: str) -> TwoSquares | None:
    node = producer(view, name)
    if node is None:
        return None
    parts = [squared(view, each) for each in node.input] if node.op_type == "Add" else []
    if len(parts) == 2 and parts[0] and parts[1]:  # noqa: PLR2004
        return None if _are_divided(view, parts[0], parts[1]) else TwoSquares(parts[0], parts[1])
    limit = limited(view, node)
    found = None if limit is None else _two_squares(view, limit[0])
    if found is None or limit is None or found.added or found.floor:
        return None
    return found._replace(added=limit[1]) if node.op_type == "Add" else found._replace(floor=limit[1])


def _are_divided(view: GraphView, first: str, second: str) -> bool:
    """Whether two values were divided by the same, as by the larger one."""
    one, other = producer(view, first), producer(view, second)
    both = one is not None and other is not None and one.op_type == other.op_type == "Div"
    return both and one is not None and other is not None and one.input[1] == other.input[1]
