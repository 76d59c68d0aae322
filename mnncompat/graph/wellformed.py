"""What must hold before anything looks at a model: known types, data that fill their dimensions, nodes as ONNX defines.

ONNX Runtime refuses what is refused here, when it loads the model or when it runs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from math import prod

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    SparseTensorProto,
    TensorProto,
    TypeProto,
)

from mnncompat.errors import ModelError
from mnncompat.graph.node_schema import require_schema
from mnncompat.graph.payloads import is_external, is_raw, stored_in
from mnncompat.graph.protos import ATTRIBUTE_FIELDS, ONNX_DOMAINS, GraphAddress, onnx_opset, plain_attributes
from mnncompat.graph.stored_sizes import STORED_IN
from mnncompat.graph.validation import all_graphs, all_nodes

_REEXPORT = "export the model again, or fetch it again if it was downloaded"
ML_DOMAIN = "ai.onnx.ml"
_LARGEST_OPSET = 2**31 - 1
_MOST_AXES = 64
"""numpy's limit."""
_MOST_DENSE = 2**31
"""Elements of a sparse tensor; ONNX Runtime writes it out when it loads the model."""
_MOST_INLINED = 500_000
"""Nodes that calls of local functions may come to; ONNX's inference and ONNX Runtime visit each of them."""
_MESSAGES = (AttributeProto.TENSOR, AttributeProto.GRAPH, AttributeProto.SPARSE_TENSOR, AttributeProto.TYPE_PROTO)


def require_wellformed(proto: ModelProto, name: str) -> None:
    """Check the parts of a model, each by itself; `mnncompat.graph.validation.check_structure` checks how they fit.

    Args:
        proto: The model, of which names are text (`mnncompat.graph.text_names`).
        name: What messages call it.

    Raises:
        ModelError: Something is malformed; the message names the node, tensor or value.
    """
    nodes = [*all_nodes(proto.graph.node)]
    require_imports(proto, {node.domain for node in nodes}, name)
    _require_finite_calls(proto, name)
    _require_arguments(proto, nodes, name)
    local = {(function.domain, function.name) for function in proto.functions}
    opsets = _opsets(proto.opset_import)
    _require_nodes(nodes, opsets, local, name)
    for function in proto.functions:
        inside, where = [*all_nodes(function.node)], f"{name}: function {function.name}"
        require_imports(function, {node.domain for node in inside}, where)
        _require_nodes(inside, opsets | _opsets(function.opset_import), local, where)
    for graph in all_graphs(proto.graph):
        _require_stored(graph, name)
        require_types(graph, name)


def _opsets(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    """Versions of ONNX's domains; the default one is the empty one."""
    found = {entry.domain: entry.version for entry in imports if entry.domain == ML_DOMAIN}
    opset = onnx_opset(imports)
    return found if opset is None else found | {"": opset}


def require_imports(proto: ModelProto | FunctionProto, used: Container[str], name: str) -> None:
    """Check the versions of the domains that nodes use.

    Raises:
        ModelError: There is no such version.
    """
    for entry in proto.opset_import:
        names = ONNX_DOMAINS if entry.domain in ONNX_DOMAINS else (entry.domain,)
        least = 1 if entry.domain in ONNX_DOMAINS else -_LARGEST_OPSET
        if any(each in used for each in names) and not least <= entry.version <= _LARGEST_OPSET:
            domain = entry.domain or "ai.onnx"
            raise ModelError(f"{name}: imports opset {entry.version} of {domain}: there is no such", hint=_REEXPORT)


def _require_nodes(
    nodes: Iterable[NodeProto], opsets: Mapping[str, int], local: set[tuple[str, str]], name: str
) -> None:
    seen: set[tuple[object, ...]] = set()
    for node in nodes:
        look = _look(node)
        if look is not None and look in seen:
            continue
        require_node(node, None if (node.domain, node.op_type) in local else opsets.get(_domain(node)), name)
        if look is not None:
            seen.add(look)


def require_node(node: NodeProto, opset: int | None, name: str) -> None:
    """Check the attributes of a node, and what its schema demands.

    Args:
        node: The node.
        opset: Of the node's domain; None if none is known, or if the model defines the operator.
        name: What messages begin with.

    Raises:
        ModelError: Something is malformed.
    """
    for attribute in node.attribute:
        _require_attribute(attribute, node, name)
    domain = _domain(node)
    if opset is not None and not domain and node.op_type == "If":
        _require_same_results(node, name)
    if opset is not None and domain in ("", ML_DOMAIN):
        require_schema(node, opset, name, domain=domain)


def _require_same_results(node: NodeProto, name: str) -> None:
    """The branches of an If give as many values as it has results."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH and len(attribute.g.output) != len(node.output):
            given = f"{attribute.name} gives {len(attribute.g.output)} values"
            raise ModelError(
                f"{name}: node '{label(node)}' (If) has {len(node.output)} results, and its {given}", hint=_REEXPORT
            )


def _domain(node: NodeProto | FunctionProto) -> str:
    return "" if node.domain in ONNX_DOMAINS else node.domain


def _look(node: NodeProto) -> tuple[object, ...] | None:
    """What is checked of a node by itself; None if it leaves out an operand or a result, or holds more than numbers."""
    operands, results = node.input, node.output
    stated = None if "" in operands or "" in results else plain_attributes(node)
    return None if stated is None else (node.op_type, node.domain, len(operands), len(results), stated)


def label(node: NodeProto) -> str:
    """What messages call a node: its name, or its first result."""
    return node.name or next(filter(None, node.output), node.op_type)


def _require_attribute(attribute: AttributeProto, node: NodeProto, name: str) -> None:
    """The value must be in the field that the type says, and only there; tensors in it must be well-formed."""
    if attribute.ref_attr_name:
        return
    where = f"{name}: attribute '{attribute.name}' of node '{label(node)}'"
    own = ATTRIBUTE_FIELDS.get(attribute.type)
    if not own:
        raise ModelError(f"{where} states no type that ONNX has ({attribute.type})", hint=_REEXPORT)
    used = [field.name for field, _ in attribute.ListFields() if field.name in _VALUE_FIELDS]
    other = next((field for field in used if field != own), None)
    if other is not None:
        stated = AttributeProto.AttributeType.Name(attribute.type)
        raise ModelError(f"{where} is of type {stated}, but holds a value in the field '{other}'", hint=_REEXPORT)
    if attribute.type in _MESSAGES and not used:
        raise ModelError(f"{where} has no value", hint=_REEXPORT)
    for tensor in (*((attribute.t,) if own == "t" else ()), *attribute.tensors):
        require_tensor(tensor, where)
    for sparse in (*((attribute.sparse_tensor,) if own == "sparse_tensor" else ()), *attribute.sparse_tensors):
        _require_sparse(sparse, where)


_VALUE_FIELDS = frozenset(ATTRIBUTE_FIELDS.values())


def require_editable(proto: ModelProto) -> None:
    """Check what only matters when a model is rewritten: string attributes.

    Raises:
        ModelError: An attribute is no UTF-8.
    """
    for node in all_nodes(proto.graph.node):
        for attribute in node.attribute:
            try:
                b"\0".join((attribute.s, *attribute.strings)).decode()
            except UnicodeDecodeError:
                raise ModelError(
                    f"attribute '{attribute.name}' of node '{label(node)}' is no UTF-8: the model cannot be rewritten",
                    hint="convert it as it is: `mnncompat convert --no-fix`",
                ) from None


def _require_stored(graph: GraphProto, name: str) -> None:
    for tensor in graph.initializer:
        require_tensor(tensor, f"{name}: initializer '{tensor.name}'")
    for sparse in graph.sparse_initializer:
        _require_sparse(sparse, f"{name}: initializer '{sparse.values.name}'")


def require_tensor(tensor: TensorProto, where: str) -> None:
    """Check the type, the dimensions and the amount of data of a stored tensor; those in files are only located.

    Raises:
        ModelError: They do not fit together; the message begins with `where`.
    """
    if tensor.data_type not in STORED_IN:
        raise ModelError(f"{where} is of no type that ONNX has ({tensor.data_type})", hint=_REEXPORT)
    dims = tuple(tensor.dims)
    if any(dim < 0 for dim in dims) or len(dims) > _MOST_AXES:
        shown = f"{list(dims[:8])}" + (" ..." if len(dims) > len(dims[:8]) else "")
        raise ModelError(f"{where} has impossible dimensions: {shown}", hint=_REEXPORT)
    if is_external(tensor):
        return
    field, bits = STORED_IN[tensor.data_type]
    elements = prod(dims)
    if is_raw(tensor):
        wanted, found, unit = -(-elements * bits // 8), stored_in(tensor, "raw_data"), "bytes"
        if field == "string_data":
            raise ModelError(f"{where} holds strings as raw bytes", hint=_REEXPORT)
    else:
        per = 8 // bits if bits in (2, 4) else 1
        parts = 2 if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128) else 1
        wanted, found, unit = -(-elements * parts // per), stored_in(tensor, field), "elements"
    if wanted != found:
        raise ModelError(f"{where} holds {found} {unit}, but its dimensions {list(dims)} take {wanted}", hint=_REEXPORT)


def _require_sparse(sparse: SparseTensorProto, where: str) -> None:
    """Check both tensors, that there is an index for each value, and that all are inside."""
    require_tensor(sparse.values, where)
    require_tensor(sparse.indices, where)
    count, axes = prod(sparse.values.dims), len(sparse.dims)
    fits = list(sparse.indices.dims) in ([count], [count, axes]) and sparse.indices.data_type == TensorProto.INT64
    if len(sparse.values.dims) != 1 or not fits or any(dim < 0 for dim in sparse.dims):
        raise ModelError(f"{where} is sparse, and its indices do not fit its values", hint=_REEXPORT)
    if prod(sparse.dims) > _MOST_DENSE:
        raise ModelError(f"{where} is sparse, and too large to be written out: {list(sparse.dims)}", hint=_REEXPORT)
    if _is_outside(sparse):
        raise ModelError(f"{where} is sparse, and has an index outside of {list(sparse.dims)}", hint=_REEXPORT)


def _is_outside(sparse: SparseTensorProto) -> bool:
    import numpy as np

    from mnncompat.graph.tensor_values import tensor_array

    if is_external(sparse.indices):
        return False
    indices = tensor_array(sparse.indices)
    bound = np.array(sparse.dims if indices.ndim > 1 else [min(prod(sparse.dims), 2**63 - 1)], np.int64)
    return bool(((indices < 0) | (indices >= bound)).any())


def require_types(graph: GraphProto, name: str) -> None:
    """Check the element types that a graph declares.

    Raises:
        ModelError: ONNX has no such type.
    """
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = _element_type(value.type)
        if kind and kind not in STORED_IN:
            raise ModelError(f"{name}: '{value.name}' is declared of no type that ONNX has ({kind})", hint=_REEXPORT)


def _element_type(kind: TypeProto) -> int:
    """Type of the elements of a tensor, or of the tensors in a sequence, an optional or a map; 0 if none is stated."""
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type", "map_type"):
        held = getattr(kind, which)
        kind = held.value_type if which == "map_type" else held.elem_type
    return int(getattr(kind, which).elem_type) if which in ("tensor_type", "sparse_tensor_type") else 0


def _require_finite_calls(proto: ModelProto, name: str) -> None:
    """Local functions must not call themselves, and must not come to too many nodes where they are called."""
    if not proto.functions:
        return
    bodies = {(_domain(function), function.name): function for function in proto.functions}
    if len(bodies) < len(proto.functions):
        counted = Counter((_domain(function), function.name) for function in proto.functions)
        twice = counted.most_common(1)[0][0][1]
        raise ModelError(f"{name}: two functions are called '{twice}'", hint="give each function a name of its own")
    calls = {
        key: [(_domain(node), node.op_type) for node in all_nodes(function.node)] for key, function in bodies.items()
    }
    sizes: dict[tuple[str, str], int] = {}
    for key in _callees_first(calls, name):
        sizes[key] = sum(sizes.get(each, 1) for each in calls[key])
    total = sum(sizes.get((_domain(node), node.op_type), 1) for node in all_nodes(proto.graph.node))
    if total > _MOST_INLINED and total > sum(map(len, calls.values())):
        raise ModelError(
            f"{name}: with its functions written where they are called it has more than {_MOST_INLINED} nodes",
            hint="export it without functions that call one another many times",
        )


def _require_arguments(proto: ModelProto, nodes: Sequence[NodeProto], name: str) -> None:
    """A call of a local function gives no more operands, and takes no more results, than it has."""
    bodies = {(_domain(function), function.name): function for function in proto.functions}
    if not bodies:
        return
    for node in (*nodes, *(each for function in proto.functions for each in all_nodes(function.node))):
        function = bodies.get((_domain(node), node.op_type))
        if function is None:
            continue
        for what, given, there in (("operands", node.input, function.input), ("results", node.output, function.output)):
            if len(given) > len(there):
                told = f"has {len(given)} {what}, and the function '{function.name}' {len(there)}"
                raise ModelError(f"{name}: node '{label(node)}' {told}", hint=_REEXPORT)


def _callees_first(calls: dict[tuple[str, str], list[tuple[str, str]]], name: str) -> Iterator[tuple[str, str]]:
    """Functions in an order in which each comes after those that it calls.

    Raises:
        ModelError: One calls itself.
    """
    waiting = {key: {each for each in called if each in calls} for key, called in calls.items()}
    callers: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key, called in waiting.items():
        for each in called:
            callers.setdefault(each, []).append(key)
    ready = [key for key, called in waiting.items() if not called]
    done = 0
    while ready:
        key = ready.pop()
        done += 1
        yield key
        for caller in callers.get(key, ()):
            waiting[caller].discard(key)
            if not waiting[caller]:
                ready.append(caller)
    if done < len(calls):
        circle = next(key for key, called in waiting.items() if called)
        raise ModelError(f"{name}: the function '{circle[1]}' calls itself, or one that does", hint=_REEXPORT)


def in_a_list(address: GraphAddress) -> ModelError:
    """Why the graph at an address has no editor: it is in a list of graphs."""
    place = ", in ".join(f"attribute '{name}' of node {index}" for index, name in reversed(address))
    return ModelError(
        f"a graph that would be rewritten is in a list of graphs ({place})",
        hint="no operator of ONNX has an attribute of that kind: remove it, or write the model anew",
    )
