"""Weights of a mean: a whole number that says how often an element counts is 0 or 1."""

from __future__ import annotations

from collections.abc import Iterator

from mnncompat.graph.operator_traits import CASTS, RESHAPES
from mnncompat.graph.view import GraphView
from mnncompat.inference.domain_claims import Claim, Kind, Reading

_GUARDS = frozenset(("Add", "Clip", "Max", "Where"))
"""They keep a divisor from being 0."""
_HANDED_ON = RESHAPES | _GUARDS | frozenset((*CASTS, "Expand", "Identity", "Slice", "Transpose"))
_PRODUCTS = ("Mul", "MatMul", "Einsum")
_MOST_STEPS = 8


def weights_of_mean(reading: Reading) -> Iterator[Claim]:
    """``sum(x * m) / sum(m)``: a mask by which a mean over the steps of a sequence leaves out padding.

    Of floating-point weights that says nothing: they may be any.

    Args:
        reading: A ReduceSum of ``m``.
    """
    divides = _division(reading.view, reading.node.output[0])
    if reading.position == 0 and divides:
        claims = reading.claim(Kind.MASK, 0, 1, f"sum that divides a sum of products ({divides})")
        yield from (claim._replace(is_weak=True) for claim in claims)


def _division(view: GraphView, total: str) -> str:
    """The Div by a sum, by its result's name; empty if there is none, or it divides no sum of products."""
    pending = [total]
    for _ in range(_MOST_STEPS):
        if not pending:
            break
        name = pending.pop()
        for index in view.consumers.get(name, ()):
            node = view.nodes[index]
            if node.op_type == "Div" and list(node.input[:2]).index(name) == 1 and _is_sum(view, node.input[0]):
                return str(node.output[0])
            if node.op_type in _HANDED_ON and node.output:
                pending.append(node.output[0])
    return ""


def _is_sum(view: GraphView, name: str) -> bool:
    """Whether a value is a sum of products."""
    is_summed = False
    for _ in range(_MOST_STEPS):
        node = view.producer(name)
        if node is None or not node.input:
            return False
        if node.op_type in _PRODUCTS:
            return is_summed or node.op_type != "Mul"
        is_summed = is_summed or node.op_type == "ReduceSum"
        if node.op_type not in _HANDED_ON and node.op_type != "ReduceSum":
            return False
        name = node.input[0]
    return False
