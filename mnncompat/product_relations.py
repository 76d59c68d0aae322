"""Relations of products of matrices and of recurrent operators; see `mnncompat.relations`."""

from __future__ import annotations

from collections.abc import Callable

from mnncompat.facts import NodeFacts


def transposes_single_column(facts: NodeFacts) -> bool | None:
    """Input 0 has one column for certain: a dynamic number of columns is taken for several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[-1] == 1


PRODUCT_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function for function in (transposes_single_column,)
}
