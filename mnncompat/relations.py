"""Named relations between the operands of one node, for conditions that no single operand can state.

Each is a function from a node to True, False, or None where the model does not say. A row names one with
``relation = "NAME"``; the docstring says what it compares and why MNN cares.
"""

from __future__ import annotations

from collections.abc import Callable

from mnncompat.facts import NodeFacts

RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {}


def _relation(function: Callable[[NodeFacts], bool | None]) -> Callable[[NodeFacts], bool | None]:
    RELATIONS[function.__name__.strip("_").replace("_", "-")] = function
    return function


@_relation
def _operand_shapes_differ(facts: NodeFacts) -> bool | None:
    """The operands do not all have the same shape: they are broadcast."""
    shapes = [facts.shape(name) for name in facts.node.input if name]
    if any(shape is None for shape in shapes):
        return None
    return len(set(shapes)) > 1
