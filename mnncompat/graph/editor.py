"""Edit a model with onnx-graphsurgeon and keep everything that graphsurgeon would lose.

graphsurgeon 0.6.1 drops `metadata_props`, doc strings of nodes and values, quantisation annotations, training info,
graph inputs that are initializers, unused initializers, and attributes of type GRAPHS, TENSORS, SPARSE_TENSOR and
TYPE_PROTO (its `importers/onnx_importer.py` and `exporters/onnx_exporter.py`). Here a node, initializer or value that
no rewrite touched is written back as it was read; graphsurgeon only links the graph and serialises what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from mnncompat.graph.protos import Dim, GraphAddress, import_onnx
from mnncompat.graph.surgeon_values import detach, find_held_values, is_nested_output
from mnncompat.graph.tensor_values import array_tensor, data_type_of, element_dtype
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured, names_in_use, reads
from mnncompat.graph.wellformed import in_a_list, require_editable

_IR_INITIALIZERS_ARE_INPUTS = 3  # up to this version every initializer has to be a graph input as well


class GraphEditor:
    """One graph that is edited; nodes are addressed by their index in the graph as it was read.

    Args:
        graph: The graph as graphsurgeon imported it, nodes in their original order.
        names: Every value and node name in use anywhere in the model; new names are added to it.
        parent: The editor of the graph that holds this one.

    Attributes:
        protos: Nodes inserted as they are, by the `id` of what links them.
    """

    def __init__(self, graph: gs.Graph, names: set[str], parent: GraphEditor | None = None) -> None:
        self.graph = graph
        self.protos: dict[int, NodeProto] = {}
        self._parent = parent
        self.constants: list[gs.Constant] = []
        self.variables: list[gs.Variable] = []
        self.edited: set[int] = set()
        self.released: list[gs.Tensor] = []
        self._names = names
        self._counts: dict[str, int] = {}
        self._shared: dict[Hashable, gs.Constant] = {}
        self._nodes: list[gs.Node] = list(graph.nodes)
        self._removed: set[int] = set()
        self._inserted: dict[int, list[gs.Node]] = {}
        self._tensors: dict[str, gs.Tensor] = {
            tensor.name: tensor for node in self._nodes for tensor in (*node.inputs, *node.outputs) if tensor.name
        }
        for tensor in self._tensors.values():
            find_held_values(tensor)
        self._tensors |= {tensor.name: tensor for tensor in (*graph.inputs, *graph.outputs)}

    @property
    def changed(self) -> bool:
        """True once anything was edited, inserted or removed."""
        return bool(self.edited or self._removed or self._inserted)

    def tensor(self, name: str) -> gs.Tensor:
        """The value of that name, computed in this graph or captured from an outer one.

        Raises:
            KeyError: Nothing in this graph refers to it.
        """
        return self._tensors[name]

    def reshaped(self, name: str, shape: Sequence[Dim]) -> gs.Tensor:
        """The value of that name, which gets another shape; the one that the model states is replaced."""
        tensor = self.tensor(name)
        tensor.shape = list(shape)
        self.variables.append(tensor)
        return tensor

    def variable(self, name: str, dtype: int | None, shape: Sequence[Dim] | None) -> gs.Variable:
        """A new value of element type `dtype` (`TensorProto.DataType`) and `shape`; `name` is made unique."""
        element = None if dtype is None else element_dtype(dtype)
        variable = gs.Variable(self.unique(name), dtype=element, shape=None if shape is None else list(shape))
        self._tensors[variable.name] = variable
        self.variables.append(variable)
        return variable

    def constant(self, name: str, values: NDArray[Any]) -> gs.Constant:
        """A new initializer; `name` is made unique."""
        contiguous = np.ascontiguousarray(values).reshape(values.shape)
        constant = gs.Constant(self.unique(name), contiguous)
        self._tensors[constant.name] = constant
        self.constants.append(constant)
        return constant

    def shared_constant(self, key: Hashable, name: str, values: Callable[[], NDArray[Any]]) -> gs.Constant:
        """The initializer made for `key` before, or a new one: a weight used twice is stored once."""
        if key not in self._shared:
            self._shared[key] = self.constant(name, values())
        return self._shared[key]

    def unique(self, name: str) -> str:
        """Reserve and return a name that nothing in the model uses."""
        candidate, count = name, self._counts.get(name, 1)
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._counts[name] = count
        self._names.add(candidate)
        return candidate

    def edit(self, index: int) -> gs.Node:
        """The node at `index`, to be changed in place."""
        self.edited.add(index)
        return self._nodes[index]

    def attributes(self, index: int) -> dict[str, Any]:
        """A copy of the attributes of the node at `index`."""
        return dict(self._nodes[index].attrs)

    def insert(
        self,
        at: int,
        op: str,
        inputs: Sequence[gs.Tensor],
        outputs: Sequence[gs.Tensor],
        attrs: dict[str, Any] | None = None,
        *,
        name: str,
    ) -> gs.Node:
        """Insert a node at the place of the node `at`, after what was inserted there before; `name` is made unique."""
        node = gs.Node(op, name=self.unique(name), attrs=attrs or {}, inputs=list(inputs), outputs=list(outputs))
        self._inserted.setdefault(at, []).append(node)
        return node

    def insert_proto(self, at: int, proto: NodeProto) -> None:
        """Insert a node as it is, nested graphs included, at the place of the node `at`; its names must be unique."""
        outer = [name for _, graph in subgraphs(proto) for name in captured(graph)]
        inputs = [self._known(name) for name in (*proto.input, *dict.fromkeys(outer))]
        outputs = [self._known(name) for name in proto.output]
        node = gs.Node(proto.op_type, name=proto.name, inputs=inputs, outputs=outputs, domain=proto.domain or None)
        self._inserted.setdefault(at, []).append(node)
        self.protos[id(node)] = proto

    def _known(self, name: str) -> gs.Tensor:
        if not name:
            return gs.Variable.empty()
        if name not in self._tensors:
            outer = None if self._parent is None else self._parent.find(name)
            self._tensors[name] = outer if outer is not None else gs.Variable(name)
        return self._tensors[name]

    def find(self, name: str) -> gs.Tensor | None:
        """The value of that name in this graph or an outer one; None if nothing refers to it."""
        if name in self._tensors:
            return self._tensors[name]
        return None if self._parent is None else self._parent.find(name)

    def remove(self, index: int) -> None:
        """Remove the node at `index`; its outputs may then be given to a new node."""
        detach(self._nodes[index].outputs)
        self._removed.add(index)

    def finish(self, released: Iterable[gs.Tensor] = ()) -> list[tuple[gs.Node, int | None]]:
        """Settle the edits: every node with its original index (None for a new one), without what became unused.

        Args:
            released: Values of this graph or an outer one that nodes of nested graphs have stopped reading.
        """
        self.released = [*released, *(tensor for index in self._removed for tensor in self._nodes[index].inputs)]
        orphans = list(self.released)
        for index in self._removed:
            detach(self._nodes[index].inputs)
        result: list[tuple[gs.Node, int | None]] = []
        for index, node in enumerate(self._nodes):
            result.extend((new, None) for new in self._inserted.get(index, ()))
            if index not in self._removed:
                result.append((node, index))
        dead = self._dead(orphans, {id(node) for node, _ in result})
        self.graph.nodes[:] = [node for node, _ in result if id(node) not in dead]
        return [(node, index) for node, index in result if id(node) not in dead]

    def _dead(self, candidates: list[gs.Tensor], alive: set[int]) -> set[int]:
        """Nodes that computed only what the removed ones read (`id`s); nodes that were dead before stay."""
        kept = {id(tensor) for tensor in self.graph.outputs}
        dead: set[int] = set()
        while candidates:
            for producer in list(candidates.pop().inputs):
                needed = any(
                    out.outputs or id(out) in kept or is_nested_output(self.graph, out) for out in producer.outputs
                )
                if not needed and id(producer) in alive:
                    dead.add(id(producer))
                    candidates.extend(producer.inputs)
                    detach(producer.inputs)
                    detach(producer.outputs)
        return dead


class ModelEditor:
    """A model that is edited: a `GraphEditor` for the main graph and each of its subgraphs (not for local functions).

    Args:
        proto: The model; it is not changed. None of its weights may be external by its own words.

    Raises:
        ModelError: Something is malformed that does not matter as long as nothing is rewritten.
    """

    def __init__(self, proto: ModelProto) -> None:
        gs.logger.G_LOGGER.severity = gs.logger.G_LOGGER.CRITICAL + 1  # it prints names, and raises as well
        self._proto = proto
        self._names = set(names_in_use(proto.graph))
        self._editors: dict[GraphAddress, GraphEditor] = {}
        self._touched: set[GraphAddress] = set()
        require_editable(proto)
        self._register(gs.import_onnx(proto), proto.graph, ())

    def graph(self, address: GraphAddress) -> GraphEditor:
        """The editor of the graph at `address` (`GraphView.address`); a ModelError if it is in a list of graphs."""
        if address not in self._editors:
            raise in_a_list(address)
        return self._editors[address]

    def export(self) -> ModelProto:
        """The edited model; untouched parts are the original's."""
        result = ModelProto()
        result.CopyFrom(self._proto)
        changed = [address for address, editor in self._editors.items() if editor.changed]
        self._touched = {address[:depth] for address in changed for depth in range(len(address) + 1)}
        self._write(result.graph, ())
        if changed:
            import_onnx(result)
        if result.ir_version <= _IR_INITIALIZERS_ARE_INPUTS:
            known = {value.name for value in result.graph.input}
            new = [t for t in result.graph.initializer if t.name not in known]
            result.graph.input.extend(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in new)
        return result

    def _register(self, graph: gs.Graph, original: GraphProto, address: GraphAddress) -> None:
        self._editors[address] = GraphEditor(graph, self._names, self._editors.get(address[:-1]) if address else None)
        for index, (node, proto) in enumerate(zip(graph.nodes, original.node, strict=True)):
            for name, inner in subgraphs(proto):
                if isinstance(node.attrs.get(name), gs.Graph):
                    self._register(node.attrs[name], inner, (*address, (index, name)))

    def _write(self, graph: GraphProto, address: GraphAddress) -> list[gs.Tensor]:
        """Bring `graph`, a copy of the original, up to date with its editor; return what its nodes stopped reading."""
        if address not in self._touched:
            return []
        editor = self._editors[address]
        used_before = set(reads(graph))
        released: list[gs.Tensor] = []
        for index, node in enumerate(graph.node):
            for name, inner in subgraphs(node):
                if (*address, (index, name)) in self._editors:
                    released += self._write(inner, (*address, (index, name)))
        if not editor.changed and not released:
            return []
        originals = list(graph.node)
        nodes = [
            editor.protos.get(id(node)) or _node_proto(node, None if i is None else originals[i], i in editor.edited)
            for node, i in editor.finish(released)
        ]
        del graph.node[:]
        graph.node.extend(nodes)
        _update_values(graph, used_before, editor)
        return editor.released


def _node_proto(node: gs.Node, original: NodeProto | None, edited: bool) -> NodeProto:  # noqa: FBT001 - private
    if original is None:
        return NodeProto.FromString(OnnxExporter.export_node(node).SerializeToString())
    if not edited:
        return original
    exported = OnnxExporter.export_node(node)
    result = NodeProto()
    result.CopyFrom(original)
    result.op_type, result.domain = exported.op_type, exported.domain
    result.input[:], result.output[:] = exported.input, exported.output
    lost = {a.name for a in original.attribute if a.type not in _SURGEON_KEEPS}
    kept = {a.name: a for a in original.attribute if a.name in lost or a.name in node.attrs}
    new = {a.name: a for a in exported.attribute if not _same_attribute(kept.get(a.name), a)}
    del result.attribute[:]
    result.attribute.extend((kept | new).values())
    return result


_SURGEON_KEEPS = frozenset(
    (
        AttributeProto.FLOAT,
        AttributeProto.INT,
        AttributeProto.STRING,
        AttributeProto.TENSOR,
        AttributeProto.GRAPH,
        AttributeProto.FLOATS,
        AttributeProto.INTS,
        AttributeProto.STRINGS,
    )
)


def _same_attribute(old: AttributeProto | None, new: AttributeProto) -> bool:
    if old is None or old.type != new.type:
        return False
    bare = AttributeProto()
    bare.CopyFrom(old)
    bare.ClearField("doc_string")
    return bool(bare == new)


def _update_values(graph: GraphProto, used_before: set[str], editor: GraphEditor) -> None:
    """Drop initializers and value_info of values that are gone, add those of new ones."""
    used = set(reads(graph)) | {value.name for value in graph.output}
    gone = {t.name for t in graph.initializer if t.name in used_before and t.name not in used}
    _keep(graph.initializer, lambda tensor: tensor.name not in gone)
    _keep(graph.sparse_initializer, lambda s: s.values.name in used or s.values.name not in used_before)
    _keep(graph.input, lambda value: value.name not in gone)
    graph.initializer.extend(array_tensor(c.values, c.name) for c in editor.constants if c.name in used)
    existing = used | {name for node in graph.node for name in node.output}
    existing |= {t.name for t in graph.initializer} | {value.name for value in graph.input}
    stated = {variable.name: variable for variable in editor.variables}
    _keep(graph.value_info, lambda value: value.name in existing and value.name not in stated)
    _keep(graph.quantization_annotation, lambda note: note.tensor_name in existing)
    outputs = {value.name for value in graph.output}
    for value in [each for each in graph.output if each.name in stated]:
        value.CopyFrom(_value_info(stated[value.name]))
    inner = [each for each in editor.variables if each.name in existing - outputs and each.dtype is not None]
    graph.value_info.extend(map(_value_info, inner))


def _value_info(variable: gs.Variable) -> ValueInfoProto:
    given = variable.dtype  # a number of ONNX's where graphsurgeon knows no type of numpy, such as float8
    kind = given if isinstance(given, int) else data_type_of(np.dtype(given))
    return onnx.helper.make_tensor_value_info(variable.name, kind, variable.shape)


def _keep(items: Any, wanted: Any) -> None:
    kept = [item for item in items if wanted(item)]
    if len(kept) < len(items):
        copies = [type(item).FromString(item.SerializeToString()) for item in kept]
        del items[:]
        items.extend(copies)
