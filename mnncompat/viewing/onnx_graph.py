"""An ONNX graph as plain data: what the page draws, and what Model Explorer and Graphviz get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import onnx
from onnx import NodeProto, TensorProto

from mnncompat.graph.protos import is_onnx, qualified_op
from mnncompat.graph.tensor_values import element_dtype
from mnncompat.inference.model_view import view_model
from mnncompat.viewing.groups import Group, grouped
from mnncompat.viewing.module_paths import module_path
from mnncompat.viewing.strings import Strings

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView, ModelView

Key = tuple[tuple[str, ...], int]
"""A node by its place: `Location.graph` and `Location.index`."""
COLUMNS = ("op", "name", "attrs", "in", "out", "bytes", "hidden", "held")
_LONG = 400
_GRAPHS = (int(onnx.AttributeProto.GRAPH), int(onnx.AttributeProto.GRAPHS))
_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


class OnnxGraph:
    """The graph of a model, with the numbers that its nodes and values have there.

    Args:
        model: The model; its weights are not read.

    Attributes:
        view: The model as it was looked at.
        nodes: Place of each node -> its number.
        computed: Name of a value that the main graph computes -> number of the node that computes it.
    """

    def __init__(self, model: Model) -> None:
        self.view: ModelView = view_model(model)
        self.nodes: dict[Key, int] = {}
        self.computed: dict[str, int] = {}
        self._strings = Strings()
        self._values = _Values(self._strings)
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._names: list[str] = []
        self._kinds: list[str] = []
        self._groups = self._read()

    def data(self, title: str) -> dict[str, Any]:
        """The graph as JSON has it.

        Args:
            title: What the graph is called.

        Returns:
            `strings`, which all other numbers of texts mean; `nodes`, `values` and `groups` as columns; `inputs` and
            `outputs` of the model as numbers of values. A node is `hidden` that only states a weight of others, and is
            in the group of the first of them; `held` are the values that graphs inside of a node give it.
        """
        main = self.view.main
        given = [name for name in main.input_names if name not in main.initializers]
        return {
            "title": title,
            "nodes": {**self._columns, "group": self._groups.pop("of")},
            "inputs": [self._values.number(main, name) for name in given],
            "outputs": [self._values.number(main, name) for name in main.output_names],
            "values": self._values.columns(),
            "groups": self._groups,
            "strings": self._strings.table(),
        }

    def _read(self) -> dict[str, Any]:
        root = Group("", "module")
        held: dict[int, Group] = {id(self.view.main.graph): root}
        for view in self.view.graphs():
            home = held.get(id(view.graph)) or root.inner(view.path, view.path[-1], "body")
            self._give(view)
            for index, node in enumerate(view.nodes):
                inside = home
                for part in module_path(node):
                    inside = inside.inner(part, part, "module")
                number = self._add(view, index, node)
                if not self._columns["hidden"][number]:
                    inside.members.append(number)
                for name, graph in view.held.get(index, ()):
                    label = f"{name} of {self._names[number]}"
                    held[id(graph)] = inside.inner((number, name), label, "body")
        columns = grouped(root, self._kinds, self._names)
        self._place_hidden(columns["of"])
        return columns

    def _give(self, view: GraphView) -> None:
        """Tell the node that holds a graph which values that gives it."""
        if view.parent is not None:
            holder = self.nodes[view.parent.path, view.address[-1][0]]
            self._columns["held"][holder] += [self._values.number(view, name) for name in view.output_names]

    def _place_hidden(self, groups: list[int]) -> None:
        """Give nodes that are not drawn the group of the first node that reads them."""
        stated = {self._columns["out"][number][0]: number for number in self._hidden()}
        for reader, values in enumerate(self._columns["in"]):
            for value in values:
                number = stated.pop(value, None)
                if number is not None:
                    groups[number] = groups[reader]

    def _hidden(self) -> Iterator[int]:
        return (number for number, is_hidden in enumerate(self._columns["hidden"]) if is_hidden)

    def _add(self, view: GraphView, index: int, node: NodeProto) -> int:
        number = self.nodes[view.path, index] = len(self._names)
        if view.parent is None:
            self.computed.update((name, number) for name in node.output if name and not view.is_function)
        location = view.location(index)
        strings, values = self._strings, self._values
        self._names.append(location.node)
        self._kinds.append(location.op_type)
        columns = self._columns
        columns["op"].append(strings.number(qualified_op(node)))
        columns["name"].append(strings.number(location.node))
        columns["attrs"].append([each for pair in _attributes(node) for each in strings.numbers(pair)])
        columns["in"].append([values.number(view, name) for name in node.input])
        columns["out"].append([values.number(view, name) for name in node.output if name])
        columns["hidden"].append(int(_is_weight(view, node)))
        columns["held"].append([])
        columns["bytes"].append(sum(values.weight(each) for each in dict.fromkeys(columns["in"][-1])))
        return number


class _Values:
    """Values of all graphs of a model, by the graph that has them."""

    def __init__(self, strings: Strings) -> None:
        self._strings = strings
        self._numbers: dict[tuple[int, str], int] = {}
        self._names: list[int] = []
        self._types: list[int] = []
        self._bytes: list[int] = []

    def number(self, view: GraphView, name: str) -> int:
        """Number of a value as a graph sees it; -1 for an operand that is left out."""
        if not name:
            return -1
        home = _home(view, name)
        key = (id(home.graph), name)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._names)
            self._names.append(self._strings.number(name))
            self._types.append(self._strings.number(_typed(home, name)))
            stored = home.tensor(name) if name in home.initializers or name in home.producers else None
            self._bytes.append(0 if stored is None else _stored_bytes(stored))
        return found

    def weight(self, number: int) -> int:
        """Bytes of a stored value; 0 of others."""
        return self._bytes[number] if number >= 0 else 0

    def columns(self) -> dict[str, list[int]]:
        """Name, type with shape, and bytes where it is stored in the model, of each."""
        return {"name": self._names, "type": self._types, "bytes": self._bytes}


def _is_weight(view: GraphView, node: NodeProto) -> bool:
    """Whether a node only states a value that nodes of its graph read."""
    if node.op_type != "Constant" or not is_onnx(node) or len(node.output) != 1:
        return False
    name = node.output[0]
    return (name in view.consumers or name in view.captured) and name not in view.outputs


def _home(view: GraphView, name: str) -> GraphView:
    """The graph that defines a value: this one, or one around it."""
    home = view
    while home.parent is not None:
        if name in home.producers or name in home.initializers or name in home.input_names:
            return home
        home = home.parent
    return home


def _typed(view: GraphView, name: str) -> str:
    """`float32[1, 3, 8, 8]`; empty if nothing is known."""
    element, shape = view.typed(name)
    kind = {"FLOAT": "float32", "DOUBLE": "float64"}.get(_element_name(element), _element_name(element).lower())
    return kind + ("" if shape is None else f"[{', '.join('?' if dim is None else str(dim) for dim in shape)}]")


def _element_name(element: int | None) -> str:
    if not element:
        return ""
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(element) if element in known else f"type {element}"


def _stored_bytes(tensor: TensorProto) -> int:
    """Bytes of a tensor's numbers, from its shape and type."""
    elements = 1
    for dim in tensor.dims:
        elements *= dim
    name = _element_name(tensor.data_type)
    if name in _BITS:
        return (elements * _BITS[name] + 7) // 8
    try:
        return elements * element_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        return 0


def _attributes(node: NodeProto) -> Iterator[tuple[str, str]]:
    for each in node.attribute:
        if each.type not in _GRAPHS:
            yield each.name, attribute_text(each)


def attribute_text(item: onnx.AttributeProto) -> str:
    """An attribute as a person reads it; long ones are cut."""
    if item.ref_attr_name:
        return f"@{item.ref_attr_name}"
    if item.type == onnx.AttributeProto.TENSOR:
        return f"{_element_name(item.t.data_type).lower()}{list(item.t.dims)}"
    try:
        value = onnx.helper.get_attribute_value(item)
    except ValueError:
        return "?"
    if isinstance(value, bytes):
        value = value[: _LONG + 1].decode(errors="replace")
    text = str(value[: _LONG + 1] if isinstance(value, str) else _several(value))
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"


def _several(value: Any) -> Any:
    if not hasattr(value, "__len__") or isinstance(value, str):
        return f"{value:.7g}" if isinstance(value, float) else value
    shown = ", ".join(str(_several(each) if isinstance(each, float) else each) for each in value[:_LONG])
    return f"[{shown}]"
