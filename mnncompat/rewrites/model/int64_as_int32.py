"""Large int64 constants, stored as int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.graph.validation import subgraphs
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.view import ModelView
    from mnncompat.support.target import Target

_RANGE = np.iinfo(np.int32)


class Int64AsInt32(ModelRewrite):
    """Store int64 constants that MNN would clamp as int32, and cast them.

    **What.** Initializers and ``Constant`` nodes of int64 beyond 2^30, all of whose elements int32 can hold.

    **Why.** MNN holds int64 as int32, and clamps constants of int64 to 2^30, but not those of int32.

    **Before and after**::

        y = Sub(x, 2147483647)
        y = Sub(x, Cast(2147483647 (int32), int64))

    **Algebra.** The elements are the same.

    **Refuses** constants with elements beyond 32 bits, which MNN cannot hold, and initializers that are defaults of
    inputs.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/onnxOpConverter.cpp (``_limit``)
    """

    code = "MNN877"
    name = "int64-as-int32"
    summary = "stored as int32, and cast"

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:
        """The constants that int32 can hold."""
        return [spot for spot in super().search(model, target) if _fits(spot)]

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:
        """The model with the constants stored as int32."""
        result = ModelProto()
        result.CopyFrom(model.proto)
        _store(result.graph, {spot.tensor for spot in locations}, _names(result.graph))
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """An initializer, a Constant; small constants, and constants that int32 cannot hold."""
        text = "(float[2,3] x) => (int64[2,3] y) { i = Cast<to = 7>(x) y = Sub(i, big) }"
        constant = text.replace("y =", "big = Constant<value = int64[1] {-2000000000}>() y =")
        return (
            rewritten("initializer", text, becomes="2 Cast, Sub", big=np.array([2_000_000_000, 5, -1])),
            rewritten("Constant", constant, becomes="2 Cast, Constant, Sub"),
            unchanged("small", text, big=np.array([1 << 20])),
            unchanged("more than 32 bits", text, big=np.array([1 << 40])),
        )


def _fits(spot: RewriteLocation) -> bool:
    if spot.tensor in spot.view.input_names:
        return False
    values = spot.view.stored_value(spot.tensor)
    return values is not None and values.min() >= _RANGE.min and values.max() <= _RANGE.max


def _names(graph: GraphProto) -> set[str]:
    """Names of all values of a graph and of the graphs nested in it."""
    found = {each.name for each in graph.input} | {each.name for each in graph.initializer}
    for node in graph.node:
        found.update(node.output)
        for _, inner in subgraphs(node):
            found |= _names(inner)
    return found


def _store(graph: GraphProto, constants: set[str], taken_names: set[str]) -> None:
    """Replace the constants of a graph and of the graphs nested in it."""
    nodes: list[NodeProto] = []

    def stored(name: str) -> str:
        """A new name for the int32 constant; the result of its cast gets the old name."""
        other = f"{name}_int32"
        while other in taken_names:
            other += "_"
        taken_names.add(other)
        nodes.append(helper.make_node("Cast", [other], [name], name=f"{other}_cast", to=TensorProto.INT64))
        return other

    for tensor in graph.initializer:
        if tensor.name in constants:
            tensor.CopyFrom(_narrow(tensor, stored(tensor.name)))
    for node in graph.node:
        for _, inner in subgraphs(node):
            _store(inner, constants, taken_names)
        if node.op_type == "Constant" and node.output[0] in constants:
            narrow = NodeProto()
            narrow.CopyFrom(node)
            value = next(item.t for item in narrow.attribute if item.name == "value")
            value.CopyFrom(_narrow(value, value.name))
            narrow.output[0] = stored(node.output[0])
            nodes.insert(-1, narrow)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _narrow(tensor: TensorProto, name: str) -> TensorProto:
    return array_tensor(tensor_array(tensor).astype(np.int32), name)
