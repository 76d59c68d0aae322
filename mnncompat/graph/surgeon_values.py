"""What graphsurgeon does otherwise: values of held tensors are read only if somebody asks, and nodes are themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx_graphsurgeon.ir.tensor import LazyValues

from mnncompat.graph.payloads import payload_of
from mnncompat.graph.tensor_values import tensor_array


class _HeldValues(LazyValues):  # type: ignore[misc] # graphsurgeon has no types
    """Values of a tensor that is held in a file."""

    def load(self) -> NDArray[Any]:
        return np.array(tensor_array(self.tensor))


def find_held_values(tensor: gs.Tensor) -> None:
    """Have graphsurgeon find the values of a constant that is held in a file, in place."""
    values: Any = getattr(tensor, "_values", None)  # asking for `values` would read them
    if type(values) is LazyValues and payload_of(values.tensor) is not None:
        tensor._values = _HeldValues(values.tensor)  # noqa: SLF001 - it has no other way


def detach(values: Any) -> None:
    """Empty the inputs or outputs of a node: the values forget the node.

    graphsurgeon's own `clear` has each of them forget the first node that looks like it.
    """
    for value in values:
        nodes = getattr(value, values.field_name)
        list.pop(nodes, next(place for place, node in enumerate(nodes) if node is values.parent_obj))
    list.clear(values)


def is_nested_output(graph: gs.Graph, tensor: gs.Tensor) -> bool:
    """True if a subgraph returns `tensor` of an outer graph directly: graphsurgeon does not count that as a use."""
    return any(out.name == tensor.name for inner in graph.subgraphs(recursive=True) for out in inner.outputs)
