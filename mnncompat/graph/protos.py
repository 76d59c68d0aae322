"""Access to ONNX's protobuf messages: attributes, declared shapes, domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.payloads import is_external
from mnncompat.graph.tensor_values import tensor_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

Dim = int | str | None
"""A dimension: its size, its symbol, or None if nothing is known; a negative size means nothing."""

GraphAddress = tuple[tuple[int, str], ...]
"""Where a graph is: (node index, attribute name) from the main graph, ``()``, downwards."""


ONNX_DOMAINS = ("", "ai.onnx")
"""Both spell the domain of ONNX's own operators."""
UNSTATED_OPSET = 17
"""What a model that imports no opset of ONNX's own gets with its first ONNX operator."""
ATTRIBUTE_FIELDS: dict[int, str] = {
    AttributeProto.UNDEFINED: "",
    AttributeProto.FLOAT: "f",
    AttributeProto.INT: "i",
    AttributeProto.STRING: "s",
    AttributeProto.TENSOR: "t",
    AttributeProto.GRAPH: "g",
    AttributeProto.SPARSE_TENSOR: "sparse_tensor",
    AttributeProto.TYPE_PROTO: "tp",
    AttributeProto.FLOATS: "floats",
    AttributeProto.INTS: "ints",
    AttributeProto.STRINGS: "strings",
    AttributeProto.TENSORS: "tensors",
    AttributeProto.GRAPHS: "graphs",
    AttributeProto.SPARSE_TENSORS: "sparse_tensors",
    AttributeProto.TYPE_PROTOS: "type_protos",
}
_REPEATED = frozenset(("floats", "ints", "strings", "tensors", "graphs", "sparse_tensors", "type_protos"))
_PLAIN = frozenset(
    number for number, field in ATTRIBUTE_FIELDS.items() if field in ("i", "ints", "f", "floats", "s", "strings")
)
_NUMBERS = {"value_int": "int64", "value_ints": "int64", "value_float": "float32", "value_floats": "float32"}


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute as onnx.helper gives it (strings as bytes), or `default` if the node states none.

    Also `default` if the node is in a function's body and takes the value from the caller.
    """
    for item in node.attribute:
        if item.name == name and not item.ref_attr_name:
            return attribute_value(item)
    return default


def attribute_value(item: AttributeProto) -> Any:
    """Value of an attribute as `onnx.helper.get_attribute_value` gives it; None if it has no type.

    Raises:
        ValueError: It is taken from the caller of a function, or its type is not one of ONNX's.
    """
    if item.ref_attr_name or item.type not in ATTRIBUTE_FIELDS:
        raise ValueError(f"attribute {item.name} has no value of its own")
    field = ATTRIBUTE_FIELDS[item.type]
    if not field:
        return None
    return list(getattr(item, field)) if field in _REPEATED else getattr(item, field)


def plain_attributes(node: NodeProto) -> tuple[bytes, ...] | None:
    """What the attributes of a node state, to compare it; None if one of them holds a tensor or a graph."""
    attributes = node.attribute
    if not attributes:
        return ()
    found = []
    for each in attributes:
        if each.type not in _PLAIN:
            return None
        found.append(each.SerializeToString())
    return tuple(found)


def constant_array(node: NodeProto) -> NDArray[Any] | None:
    """What a ``Constant`` states, as a tensor or as numbers; None of strings, sparse and externally stored tensors."""
    tensor = attribute(node, "value")
    if isinstance(tensor, TensorProto):
        return None if is_external(tensor) else tensor_array(tensor)
    for name, dtype in _NUMBERS.items():
        value = attribute(node, name)
        if value is not None:
            return np.asarray(value, dtype)
    return None


def dims_of(value: ValueInfoProto) -> tuple[Dim, ...] | None:
    """Declared shape of a value, None if not even the rank is declared."""
    tensor = value.type.tensor_type
    return tuple([_dim(each) for each in tensor.shape.dim]) if tensor.HasField("shape") else None


def type_of(value: ValueInfoProto) -> TensorType:
    """Element type and shape that are declared for a value; None for what is not."""
    kind = value.type
    key = kind.SerializeToString()
    found = _TYPES.get(key)
    if found is None:
        if len(_TYPES) >= _MOST_TYPES:
            _TYPES.clear()
        tensor = kind.tensor_type
        dtype = tensor.elem_type if tensor.elem_type in _ELEMENT_TYPES else None
        found = _TYPES[key] = (dtype, dims_of(value))
    return found


def types_of(values: Mapping[str, ValueInfoProto]) -> dict[str, TensorType]:
    """`type_of` of many values, by their names."""
    found = {}
    for name, value in values.items():
        known = _TYPES.get(value.type.SerializeToString())
        found[name] = type_of(value) if known is None else known
    return found


TensorType = tuple[int | None, "tuple[Dim, ...] | None"]
"""Element type (`onnx.TensorProto.DataType`) and shape; None for what is not known."""
_ELEMENT_TYPES = frozenset(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
_TYPES: dict[bytes, TensorType] = {}
"""Types that were read, by what was read: a large model repeats a few."""
_MOST_TYPES = 20_000


def knows_more(new: ValueInfoProto, old: ValueInfoProto) -> bool:
    """Whether a declaration of a value says more about its type than another one."""

    def knowledge(value: ValueInfoProto) -> tuple[bool, bool, int]:
        tensor = value.type.tensor_type
        static = sum(dim.HasField("dim_value") for dim in tensor.shape.dim)
        return bool(tensor.elem_type), tensor.HasField("shape"), static

    return knowledge(new) > knowledge(old)


def is_onnx(node: NodeProto) -> bool:
    """True if a node's operator is ONNX's own."""
    return node.domain in ONNX_DOMAINS


def onnx_opset(imports: Iterable[OperatorSetIdProto]) -> int | None:
    """Version of ONNX's own operators that a model or a function imports; None if it imports none."""
    return next((entry.version for entry in imports if entry.domain in ONNX_DOMAINS), None)


def import_onnx(model: ModelProto) -> None:
    """Have a model that imports no opset of ONNX's own import `UNSTATED_OPSET`, in front of all others."""
    if onnx_opset(model.opset_import) is None:
        others = [*model.opset_import]
        del model.opset_import[:]
        model.opset_import.extend([onnx.helper.make_opsetid("", UNSTATED_OPSET), *others])


def qualified_op(node: NodeProto) -> str:
    """Op type, with its domain in front where that is not ONNX's own."""
    return node.op_type if is_onnx(node) else f"{node.domain}::{node.op_type}"


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    size = dim.dim_value
    if size > 0 or (size == 0 and dim.HasField("dim_value")):
        return int(size)
    return dim.dim_param or None
