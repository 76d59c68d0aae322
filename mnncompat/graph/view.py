"""Read-only view of a model: producers, consumers, constants, shapes and types of one graph in its scope.

`ModelView` walks the main graph, every subgraph and every local function; `GraphView` answers questions about one of
them. Shapes come from the model and from ONNX shape inference, which runs once, when a shape is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from mnncompat.graph.external_data import ExternalFiles
from mnncompat.graph.model_file import Model
from mnncompat.graph.node_columns import NodeColumns, graphs_held, kinds_of, read_columns, readers_of
from mnncompat.graph.payloads import is_external
from mnncompat.graph.protos import (
    UNSTATED_OPSET,
    Dim,
    GraphAddress,
    TensorType,
    attribute,
    constant_array,
    is_onnx,
    knows_more,
    onnx_opset,
    qualified_op,
    type_of,
    types_of,
)
from mnncompat.graph.small_tensors import Numbers, small_tensor
from mnncompat.graph.tensor_values import tensor_array
from mnncompat.graph.validation import names_read, subgraphs
from mnncompat.graph.wellformed import require_tensor
from mnncompat.results.diagnostics import Location

if TYPE_CHECKING:
    from numpy.typing import NDArray

Infer = Callable[[ModelProto, "set[tuple[str, str]] | None"], ModelProto | None]
"""Infers the shapes of a model without its weights, given the domains and op types of its nodes if they are known."""


class ModelView:
    """All graphs of a model, each as a `GraphView`.

    Args:
        model: The model.
        infer: Shape inference, called once, when a shape is first needed; `mnncompat.inference.model_view` passes it.

    Attributes:
        kept: What was found out about the model as a whole, so that it is found out once, by what it is.
    """

    def __init__(self, model: Model, infer: Infer) -> None:
        self._infer = infer
        self.model = model
        self.proto = model.skeleton
        self.opset = onnx_opset(self.proto.opset_import) or UNSTATED_OPSET
        self.main = GraphView(self, self.proto.graph, None, (), columns=model.take_columns())
        self.kept: dict[str, Any] = {}

    def graphs(self) -> Iterator[GraphView]:
        """Yield the main graph, its subgraphs depth first, then local functions with theirs."""
        yield from _walk(self.main)
        for function in self.proto.functions:
            yield from _walk(GraphView(self, function, None, (f"function {function.domain}::{function.name}",)))

    @cached_property
    def inferred(self) -> ModelProto | None:
        """The model without its weights after shape inference; None if inference failed."""
        return self._infer(self.proto, None if self.main.held else {*self.main.kinds})


class GraphView:
    """One graph in its scope.

    Attributes:
        scope: The whole model.
        graph: The graph (or function body) itself.
        parent: The graph whose node holds this one, or None.
        path: Names from the main graph down to this one, as in `Location.graph`.
        address: The same by position; `mnncompat.graph.editor.ModelEditor.graph` takes it.
        kept: What was found out about the graph as a whole, as in `ModelView`.
    """

    def __init__(
        self,
        scope: ModelView,
        graph: GraphProto | FunctionProto,
        parent: GraphView | None,
        path: tuple[str, ...],
        address: GraphAddress = (),
        columns: NodeColumns | None = None,
    ) -> None:
        self.scope = scope
        self.graph = graph
        self.parent = parent
        self.path = path
        self.address = address
        self.nodes: Sequence[NodeProto] = list(graph.node)
        self.kept: dict[object, Any] = {}
        self._columns = columns
        self.is_function = isinstance(graph, FunctionProto)
        self.opset = (onnx_opset(graph.opset_import) if isinstance(graph, FunctionProto) else None) or scope.opset

    @cached_property
    def columns(self) -> NodeColumns:
        """What the nodes state."""
        return self._columns or read_columns(self.nodes)

    @cached_property
    def kinds(self) -> dict[tuple[str, str], list[int]]:
        """Indices of the nodes of each operator, by domain and op type, in order."""
        return kinds_of(self.columns)

    def nodes_of(self, *ops: str) -> list[tuple[int, NodeProto]]:
        """The nodes of some op types, whatever their domain, in order."""
        found = [nodes for (_, op), nodes in self.kinds.items() if op in ops]
        indices = found[0] if len(found) == 1 else sorted(index for nodes in found for index in nodes)
        return [(index, self.nodes[index]) for index in indices]

    @cached_property
    def operands(self) -> list[tuple[str, ...]]:
        """Names of the operands of each node, empty where one is left out."""
        return self.columns.operands

    @cached_property
    def results(self) -> list[tuple[str, ...]]:
        """Names of the results of each node, empty where one is left out."""
        return self.columns.results

    @cached_property
    def held(self) -> dict[int, Sequence[tuple[str, GraphProto]]]:
        """The graphs that nodes hold, by the index of the node; see `subgraphs`."""
        return graphs_held(self.columns, self.nodes)

    @cached_property
    def producers(self) -> dict[str, int]:
        """Index of the node that computes each value."""
        return {name: index for index, names in enumerate(self.results) for name in names if name}

    @cached_property
    def consumers(self) -> dict[str, list[int]]:
        """Indices of the nodes that read each value directly, one entry for each use."""
        return readers_of(self.operands)

    @cached_property
    def captured(self) -> frozenset[str]:
        """Values that nested graphs read from this one (by name; a shadowed name counts too, to be safe)."""
        return frozenset(name for held in self.held.values() for _, graph in held for name in names_read(graph))

    @cached_property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        if isinstance(self.graph, FunctionProto):
            return frozenset(self.graph.output)
        return frozenset(value.name for value in self.graph.output)

    @cached_property
    def initializers(self) -> dict[str, TensorProto]:
        """Initializers of this graph by name (not those of outer ones)."""
        return {} if isinstance(self.graph, FunctionProto) else {t.name: t for t in self.graph.initializer}

    @cached_property
    def values(self) -> dict[str, ValueInfoProto]:
        """What is declared or inferred of the values of this graph, not those of outer ones."""
        found: dict[str, ValueInfoProto] = {}
        for graph in (self.graph, self.inferred_graph):
            if graph is None:
                continue
            given = () if isinstance(graph, FunctionProto) else (*graph.input, *graph.output)
            for value in (*given, *graph.value_info):
                known = found.get(value.name)
                if known is None or (value != known and knows_more(value, known)):
                    found[value.name] = value
        return found

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs, in order."""
        return tuple(value if isinstance(value, str) else value.name for value in self.graph.input)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in order."""
        return tuple(value if isinstance(value, str) else value.name for value in self.graph.output)

    def inner_graphs(self, index: int) -> list[GraphView]:
        """The graphs that a node holds, such as the branches of an If, in the order of its attributes."""
        return [_inner(self, index, name, graph) for name, graph in self.held.get(index, ())]

    @cached_property
    def inferred_graph(self) -> GraphProto | None:
        """This graph after shape inference; None in a function or if inference failed."""
        if self.is_function or self.scope.inferred is None:
            return None
        if self.parent is None:
            return self.scope.inferred.graph
        outer = self.parent.inferred_graph
        if outer is None:
            return None
        index, name = self.address[-1]
        return next((graph for held, graph in subgraphs(outer.node[index]) if held == name), None)

    def producer(self, name: str) -> NodeProto | None:
        """The node of this graph that computes a value, or None."""
        index = self.producers.get(name)
        return None if index is None else self.nodes[index]

    def is_external_use(self, name: str) -> bool:
        """True if a value is a graph output or is read by a nested graph."""
        return name in self.outputs or name in self.captured

    def shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value; None if not even the rank is known."""
        return self.typed(name)[1]

    def dtype(self, name: str) -> int | None:
        """Element type of a value (`onnx.TensorProto.DataType`), or None if unknown."""
        return self.typed(name)[0]

    def typed(self, name: str) -> TensorType:
        """Element type and shape of a value, as `dtype` and `shape` tell them."""
        if name not in self.types:
            self.types[name] = self._typed(name)
        return self.types[name]

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """`typed` of the values that nodes of this graph compute, those of constants aside; others are added."""
        found = types_of(self.values)
        if self.parent is not None:
            found = {name: each for name, each in found.items() if name in self.producers}
        stored = (self.results[index] for (_, op), nodes in self.kinds.items() if op == "Constant" for index in nodes)
        for name in (*self.initializers, *(name for names in stored for name in names)):
            found.pop(name, None)
        return found

    def _typed(self, name: str) -> TensorType:
        index = self.producers.get(name)
        if index is None or self.nodes[index].op_type == "Constant":
            tensor = self.tensor(name)
            if tensor is not None:
                return int(tensor.data_type), tuple(tensor.dims)
        value = self.values.get(name)
        dtype, shape = (None, None) if value is None else type_of(value)
        if self.parent is None or index is not None or None not in (dtype, shape):
            return dtype, shape
        outer = self.parent.typed(name)
        return outer[0] if dtype is None else dtype, outer[1] if shape is None else shape

    def tensor(self, name: str) -> TensorProto | None:
        """The stored tensor behind a value: an initializer or a ``Constant`` node's, here or in an outer graph."""
        stored = self.initializers.get(name)
        if stored is not None:
            return stored
        index = self.producers.get(name)
        if index is not None:
            node = self.nodes[index]
            value = attribute(node, "value") if node.op_type == "Constant" and is_onnx(node) else None
            return value if isinstance(value, TensorProto) else None
        return self.parent.tensor(name) if self.parent is not None and name not in self._inputs else None

    def stored_value(self, name: str) -> NDArray[Any] | None:
        """Value of an initializer, of a ``Constant`` in every form, or of an ``Identity`` of one; None of others.

        `mnncompat.inference.constant_folding` tells it from the other meanings of a constant.

        Raises:
            ModelError: The tensor is stored externally and cannot be read.
        """
        stored = self._stored(name)
        if isinstance(stored, TensorProto):
            return self._array(stored)
        return None if stored is None else constant_array(stored)

    def is_stored(self, name: str) -> bool:
        """Whether a value has a `stored_value`, which is not read."""
        stored = self._stored(name)
        if isinstance(stored, TensorProto):
            return self.scope.model.path is not None or not is_external(stored)
        return stored is not None and constant_array(stored) is not None

    def stored_numbers(self, name: str) -> Numbers | None:
        """The numbers of a small `stored_value` that a tensor states, without numpy; None of others."""
        stored = self._stored(name)
        return small_tensor(stored) if isinstance(stored, TensorProto) else None

    def _stored(self, name: str) -> TensorProto | NodeProto | None:
        """The tensor or the ``Constant`` that states a value, looking through ``Identity``."""
        node = self.producer(name)
        while node is not None and node.op_type == "Identity" and is_onnx(node):
            name = node.input[0]
            node = self.producer(name)
        tensor = self.tensor(name)
        if tensor is not None:
            return tensor
        if node is None:
            is_outer = self.parent is not None and name not in self._inputs
            return self.parent._stored(name) if self.parent is not None and is_outer else None  # noqa: SLF001 - its own
        return node if node.op_type == "Constant" and is_onnx(node) else None

    def location(self, index: int | None) -> Location:
        """Location of a node of this graph, or of the graph itself for None."""
        if index is None:
            return Location(model=self.scope.model.name, graph=self.path)
        node = self.nodes[index]
        return Location(
            model=self.scope.model.name,
            graph=self.path,
            index=index,
            node=_label(node, index),
            op_type=qualified_op(node),
            outputs=tuple(filter(None, node.output)),
        )

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return frozenset(self.input_names)

    def _array(self, tensor: TensorProto) -> NDArray[Any] | None:
        if is_external(tensor):
            if self.scope.model.path is None:
                return None
            inline = TensorProto(data_type=tensor.data_type, dims=tensor.dims, name=tensor.name)
            inline.raw_data = ExternalFiles(self.scope.model.path).read(tensor)
            tensor = inline
            require_tensor(tensor, f"tensor '{tensor.name}'")
        return tensor_array(tensor)


def _walk(view: GraphView) -> Iterator[GraphView]:
    pending = [view]
    while pending:
        current = pending.pop()
        yield current
        held = [(index, each) for index, graphs in current.held.items() for each in graphs]
        pending += [_inner(current, index, name, graph) for index, (name, graph) in reversed(held)]


def _inner(view: GraphView, index: int, name: str, graph: GraphProto) -> GraphView:
    path = (*view.path, f"{_label(view.nodes[index], index)}.{name}")
    return GraphView(view.scope, graph, view, path, (*view.address, (index, name)))


def _label(node: NodeProto, index: int) -> str:
    return str(node.name or next(filter(None, node.output), f"{node.op_type}_{index}"))
