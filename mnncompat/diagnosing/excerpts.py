"""Parts of a model as models of their own, with the values that they get and give in the whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from mnncompat.diagnosing.correspondence import constant_values, reads
from mnncompat.graph.payloads import fill
from mnncompat.graph.tensor_values import array_tensor, data_type_of

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView

_OLDEST_IR = 8
_TYPED = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A part of a model.

    Attributes:
        model: The part; what is constant in the whole is an initializer.
        nodes: Indices of its nodes in the whole.
        feeds: Its inputs -> the values that they have in the whole.
        expected: Its outputs -> the values that they have there.
    """

    model: ModelProto
    nodes: tuple[int, ...]
    feeds: dict[str, np.ndarray]
    expected: dict[str, np.ndarray] = field(default_factory=dict)


def excerpt(
    view: GraphView, nodes: Collection[int], values: Mapping[str, np.ndarray], *, show: Collection[str] = ()
) -> Excerpt | None:
    """Cut nodes out of a model.

    Args:
        view: The graph.
        nodes: Indices of the nodes.
        values: The values of the graph in one run, and its inputs.
        show: Values that are outputs, beside those that are read outside; nothing else if it is not empty.

    Returns:
        The excerpt; None if a value is not known, or everything in it is constant.
    """
    chosen = sorted(nodes)
    own = [view.nodes[index] for index in chosen]
    made = {name for node in own for name in node.output if name}
    needed = list(dict.fromkeys(name for node in own for name in reads(node) if name not in made))
    constant = constant_values(view)
    stored = {name: _stored(view, name, values) for name in needed if name in constant}
    fed = {name: values[name] for name in needed if name not in constant and name in values}
    results = [name for name in (show or _results(view, set(chosen))) if name in values]
    if len(stored) + len(fed) < len(needed) or not fed or not results or any(each is None for each in stored.values()):
        return None
    held = {name: array for name, array in stored.items() if array is not None}
    expected = {name: np.asarray(values[name]) for name in results}
    model = assembled(view, own, held, fed, expected)
    return Excerpt(
        model=model,
        nodes=tuple(chosen),
        feeds={name: np.asarray(each) for name, each in fed.items()},
        expected=expected,
    )


def with_open_sizes(part: Excerpt, view: GraphView) -> Excerpt | None:
    """An excerpt whose inputs and outputs have the sizes open that are open in the whole; None if none are.

    Args:
        part: The excerpt.
        view: The graph that it was cut out of.
    """
    model, is_open = ModelProto(), False
    model.CopyFrom(part.model)
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        known = view.shape(value.name)
        sizes = known if known is not None and len(known) == len(dims) else (None,) * len(dims)
        for number, (dim, size) in enumerate(zip(dims, sizes, strict=True)):
            if not isinstance(size, int):
                dim.dim_param = size or f"{value.name}_{number}"
                is_open = True
    return replace(part, model=model) if is_open else None


def following(view: GraphView, nodes: Collection[int]) -> tuple[int, ...]:
    """Nodes, and all that are computed from them, ascending."""
    found = set(nodes)
    made = {name for index in nodes for name in view.nodes[index].output if name}
    for index, node in enumerate(view.nodes):
        if index not in found and made.intersection(reads(node)):
            found.add(index)
            made.update(filter(None, node.output))
    return tuple(sorted(found))


def assembled(
    view: GraphView,
    nodes: Sequence[NodeProto],
    stored: Mapping[str, np.ndarray],
    fed: Mapping[str, np.ndarray],
    results: Mapping[str, np.ndarray],
) -> ModelProto:
    """A model of these nodes.

    Args:
        view: Of the model that they come from.
        nodes: In an order in which they can run.
        stored: Initializers.
        fed: Inputs.
        results: Outputs.
    """
    graph = helper.make_graph(
        list(nodes),
        "excerpt",
        [typed(name, array) for name, array in fed.items()],
        [typed(name, array) for name, array in results.items()],
        [_as_stored(view, name) or array_tensor(array, name) for name, array in stored.items()],
    )
    proto = view.scope.proto
    model = helper.make_model(graph, opset_imports=proto.opset_import, functions=proto.functions)
    model.ir_version = max(min(proto.ir_version, 10), _OLDEST_IR)
    fill(model)
    return model


def _as_stored(view: GraphView, name: str) -> TensorProto | None:
    """The tensor itself, where it holds its elements in a field for their type: MNN may not look for them there."""
    tensor = view.initializers.get(name)
    if tensor is None and name in view.producers:
        node = view.nodes[view.producers[name]]
        tensor = next((each.t for each in node.attribute if each.name == "value"), None)
    if tensor is None or not any(len(getattr(tensor, field)) for field in _TYPED):
        return None
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def typed(name: str, array: np.ndarray) -> ValueInfoProto:
    """A declaration that fits an array."""
    return helper.make_tensor_value_info(name, data_type_of(array.dtype), array.shape)


def _results(view: GraphView, nodes: set[int]) -> list[str]:
    """Values that are read outside of the nodes."""
    outside = {name for index, node in enumerate(view.nodes) if index not in nodes for name in reads(node)}
    return [name for index in sorted(nodes) for name in view.nodes[index].output if name in outside | view.outputs]


def _stored(view: GraphView, name: str, values: Mapping[str, np.ndarray]) -> np.ndarray | None:
    array = view.stored_value(name)
    return values.get(name) if array is None else array
