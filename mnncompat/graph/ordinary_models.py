"""Models about which there is nothing to settle, to sort or to refuse, told in one pass: nearly all are.

Each part of reading a model looks at all its nodes: `mnncompat.graph.text_names`, `mnncompat.graph.restated`,
`mnncompat.graph.wellformed`, `mnncompat.graph.ordering` and `mnncompat.graph.validation`. This pass reads every field
of a node once, and answers for all of them. Whatever is unusual, nested graphs and functions included, is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mnncompat.errors import ModelError
from mnncompat.graph.protos import ONNX_DOMAINS, onnx_opset, plain_attributes
from mnncompat.graph.restated import states_once
from mnncompat.graph.wellformed import ML_DOMAIN, require_imports, require_node, require_tensor, require_types

_HELD = (AttributeProto.GRAPH, AttributeProto.GRAPHS, AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)


class _Unusual(Exception):  # noqa: N818 - an answer, not an error
    """The other modules have to look at the model."""


def ordinary_tensors(proto: ModelProto) -> list[TensorProto] | None:
    """The stored tensors of a model that is read as it is; None if the other modules have to look at it.

    What they would do to such a model: nothing, and they would not refuse it.
    """
    graph = proto.graph
    if proto.functions or proto.training_info or graph.sparse_initializer:
        return None
    if not graph.node or not graph.output or not proto.opset_import:
        return None
    try:
        stored = [*graph.initializer]
        for tensor in stored:
            require_tensor(tensor, "")
        defined = _given(graph, stored)
        nodes = _Nodes(onnx_opset(proto.opset_import))
        stored += nodes.read(graph.node, defined)
        require_imports(proto, nodes.domains, "")
        require_types(graph, "")
        _require_text(proto, stored)
        is_computed = all(output.name in defined for output in graph.output)
        return stored if is_computed and not any(each.HasField("segment") for each in stored) else None
    except (_Unusual, ModelError, TypeError, UnicodeDecodeError):
        return None


def _given(graph: GraphProto, stored: Sequence[TensorProto]) -> set[str]:
    """Names of inputs and initializers."""
    inputs, tensors = [value.name for value in graph.input], [tensor.name for tensor in stored]
    if len(set(inputs)) < len(inputs) or len(set(tensors)) < len(tensors):
        raise _Unusual
    "".join((*inputs, *tensors))
    return {*inputs, *tensors}


class _Nodes:
    """Looks at nodes; those that state the same are checked once."""

    def __init__(self, opset: int | None) -> None:
        self._opset = opset
        self._seen: set[tuple[object, ...]] = set()
        self._labels: set[str] = set()
        self._kinds: set[str] = set()
        self.domains: set[str] = set()

    def read(self, nodes: Sequence[NodeProto], defined: set[str]) -> list[TensorProto]:
        """Tensors in the attributes of nodes; what they compute is added to what is defined.

        Raises:
            ModelError: A node is malformed.
            _Unusual: There is something that this module does not know.
        """
        found: list[TensorProto] = []
        for node in nodes:
            op, operands, results = node.op_type, node.input[:], node.output[:]
            attributes = node.attribute
            stated = plain_attributes(node) if attributes else ()
            for value in operands:
                if value not in defined and value:
                    raise _Unusual
            for value in results:
                if value in defined:
                    raise _Unusual
                if value:
                    defined.add(value)
            self._label(node.name)
            look = (op, node.domain, len(operands), len(results), stated)
            if look not in self._seen or stated is None or "" in operands or "" in results:
                found += self._checked(node, stated is None)
                self._seen.add(look)
        "".join((*defined, *self._labels, *self._kinds, *self.domains))
        return found

    def _label(self, name: str) -> None:
        if name in self._labels:
            raise _Unusual
        if name:
            self._labels.add(name)

    def _checked(self, node: NodeProto, holds_messages: bool) -> list[TensorProto]:  # noqa: FBT001 - of a node
        attributes = node.attribute
        if any(each.ref_attr_name or each.type in _HELD for each in attributes):
            raise _Unusual
        is_constant = node.op_type == "Constant" and node.domain in ONNX_DOMAINS
        if node.domain == ML_DOMAIN or (is_constant and (node.input or not states_once(node))):
            raise _Unusual
        require_node(node, self._opset, "")
        self._kinds |= {node.op_type, *(each.name for each in attributes)}
        self.domains.add(node.domain)
        if not holds_messages:
            return []
        return [tensor for each in attributes for tensor in (*([each.t] if each.HasField("t") else ()), *each.tensors)]


def _require_text(proto: ModelProto, stored: Sequence[TensorProto]) -> None:
    """Fail on a name that is no UTF-8: protobuf gives it as bytes then."""
    graph = proto.graph
    "".join(entry.domain for entry in proto.opset_import)
    "".join(part for each in stored for entry in each.external_data for part in (entry.key, entry.value))
    "".join((graph.name, *(value.name for value in graph.output)))
    for value in (*graph.input, *graph.output, *graph.value_info):
        "".join((value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim)))
