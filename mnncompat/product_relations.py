"""Relations of products of matrices and of recurrent operators; see `mnncompat.relations`."""

from __future__ import annotations

from collections.abc import Callable

from mnncompat.facts import NodeFacts

_PAIR = 2


def transposes_single_column(facts: NodeFacts) -> bool | None:
    """Input 0 has one column for certain: a dynamic number of columns is taken for several."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[-1] == 1


def einsum_sums_integers(facts: NodeFacts) -> bool | None:
    """Integers of two operands are multiplied and summed: a letter of both is none of the result's."""
    dtype = facts.dtype(facts.node.input[0])
    if dtype is None:
        return None
    sides = str(facts.attribute("equation")).replace(" ", "").split("->")
    terms = [set(term) - {"."} for term in sides[0].split(",")]
    if "INT" not in dtype or len(terms) < _PAIR or len(sides) < _PAIR:
        return False
    return any(one & two - set(sides[1]) for one in terms for two in terms if one is not two)


PRODUCT_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function for function in (transposes_single_column, einsum_sums_integers)
}
