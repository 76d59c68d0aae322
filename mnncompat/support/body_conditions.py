"""Searches for hazards in branches and bodies; `mnncompat.support.model_conditions` registers them."""

from __future__ import annotations

from collections.abc import Iterator

from mnncompat.support.model_scope import HazardLocation, Scope

# Their converters leave an empty operand out themselves.
_DROP_EMPTY_OPERANDS = ("Resize", "Slice")


def empty_operand_in_body(scope: Scope) -> Iterator[HazardLocation]:
    """A node of a branch or a body whose last operand is left out by an empty name."""
    inner = scope._replace(graphs=tuple(view for view in scope.graphs if view.parent is not None))
    for view, index, node in inner.nodes():
        if node.input and not node.input[-1] and node.op_type not in _DROP_EMPTY_OPERANDS:
            yield HazardLocation(view=view, position=index, values={"op": node.op_type})


def empty_ratio_in_body(scope: Scope) -> Iterator[HazardLocation]:
    """A Dropout of a branch or a body whose ratio is left out by an empty name, and whose training_mode is not."""
    for view, index, node in scope.nodes(["Dropout"]):
        if view.parent is not None and not all(node.input[1:2]) and any(node.input[2:]):
            yield HazardLocation(view=view, position=index)
