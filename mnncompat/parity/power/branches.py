"""Branches that are never taken at the sizes that were compared.

Exporters write an If to ask for a rank or a size: ``if state.shape[0] == 1``. Where sizes alone decide it, the other
branch has no part in what these sizes compute, and no input brings it to life. The same holds for a switch that has one
value only: the user gave it, or the model refuses every other one at these sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto

from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import is_onnx
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.inference.constant_folding import constant_value
from mnncompat.inference.model_view import view_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mnncompat.graph.protos import GraphAddress
    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.parity.power.input_search import InputSearch

    Shapes = Mapping[str, tuple[int, ...]]


def idle_positions(
    model: ModelProto, feeds: Sequence[NamedFeeds], inner: Mapping[int, GraphAddress], search: InputSearch | None
) -> tuple[frozenset[int], tuple[str, ...]]:
    """Which operators are in branches that are never taken at the sizes that are compared, and notes about inputs.

    Args:
        model: Without local functions; large weights may be references.
        feeds: The draws.
        inner: Of operators in subgraphs: position -> address of the graph.
        search: Knows which values the model refuses; None if nothing may be searched.
    """
    if not inner:
        return frozenset(), ()
    first = feeds[0].arrays
    names = [name for name, each in first.items() if each.dtype.kind in "iub" and each.size == 1]
    same = [name for name in names if all(np.array_equal(first[name], feed.arrays[name]) for feed in feeds)]
    fixed = {name: first[name] for name in same if search is None or search.is_settled(name)}
    branches = never_taken(model, [feed.shapes for feed in feeds], fixed)
    idle = frozenset(n for n, place in inner.items() if any(place[: len(each)] == each for each in branches))
    refused = fixed.keys() - search.given if search is not None and idle else set()
    notes = (
        f"input {name!r} was {fixed[name].item()} in every draw: at these sizes the model refuses the other values "
        "that were tried"
        for name in sorted(refused)
    )
    return idle, tuple(notes)


def never_taken(
    model: ModelProto, shapes: Iterable[Shapes], fixed: Mapping[str, np.ndarray]
) -> frozenset[GraphAddress]:
    """Addresses of the branches that sizes and fixed inputs alone rule out, each time.

    Args:
        model: Without local functions; large weights may be references.
        shapes: Of the inputs, for each draw.
        fixed: Inputs that have one value only.
    """
    distinct = {tuple(sorted(each.items())) for each in shapes}
    found = [_ruled_out(model, dict(each), fixed) for each in distinct]
    return frozenset.intersection(*found) if found else frozenset()


def _ruled_out(model: ModelProto, shapes: Shapes, fixed: Mapping[str, np.ndarray]) -> frozenset[GraphAddress]:
    settled = ModelProto()
    settled.CopyFrom(model)
    settled.graph.initializer.extend(array_tensor(array, name) for name, array in fixed.items())
    for value in settled.graph.input:
        if value.name in shapes:
            del value.type.tensor_type.shape.dim[:]
            for size in shapes[value.name]:
                value.type.tensor_type.shape.dim.add(dim_value=size)
    found: set[GraphAddress] = set()
    for view in view_model(Model(proto=settled, weights_loaded=False)).graphs():
        for index, node in enumerate(view.nodes):
            if node.op_type == "If" and is_onnx(node):
                taken = constant_value(view, node.input[0])
                if taken is not None and taken.size == 1:
                    found.add((*view.address, (index, "else_branch" if taken.item() else "then_branch")))
    return frozenset(found)
