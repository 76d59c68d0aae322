"""Searches for what was settled when the model was read, and for a model that has nothing to settle: no nodes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mnncompat.support.model_scope import HazardLocation, Scope


def nodes_out_of_order(scope: Scope) -> Iterator[HazardLocation]:
    """A graph whose nodes were not sorted in the file."""
    for each in scope.model.model.unsorted:
        held = (
            view for view in scope.graphs if view.address == each.address and view.path[: len(each.root)] == each.root
        )
        for view in islice(held, 1):  # those of the main graph come first
            yield HazardLocation(view=view, values={"reader": each.reader, "value": each.value})


def scores_as_map(scope: Scope) -> Iterator[HazardLocation]:
    """An output that is a list of maps from labels to scores in the file."""
    for name in scope.model.model.unmapped:
        yield HazardLocation(view=scope.model.main, values={"output": name})


def stated_twice(scope: Scope) -> Iterator[HazardLocation]:
    """A value that several initializers or constants of one graph state, and not the same."""
    for name in scope.model.model.restated:
        held = (view for view in scope.graphs if name in view.initializers or name in view.producers)
        for view in islice(held, 1):
            yield HazardLocation(view=view, values={"value": name})


def no_nodes(scope: Scope) -> Iterator[HazardLocation]:
    """A model without nodes: its outputs are inputs or constants."""
    if not scope.model.main.nodes:
        yield HazardLocation(view=scope.model.main)
