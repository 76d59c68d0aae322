"""Searches for hazards of a model as a whole, named by the rows of ``rules/graph.toml``.

Each search yields the locations that it found, with the values that fill the placeholders of the row's reason. What MNN
does there (status, reason, remedy, releases) is stated by the row. The docstring of a search is its documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import onnx
from onnx import GraphProto, NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import CASTS, RANDOM, RESHAPES
from mnncompat.graph.payloads import inlined, is_external, stored_in
from mnncompat.graph.protos import ONNX_DOMAINS, attribute, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.inference.contrib_op_types import RIGHT_BY_NAME
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, IN_ONNX_DOMAIN
from mnncompat.inference.random_nodes import RandomNode, random_nodes
from mnncompat.support import api_conditions
from mnncompat.support.body_conditions import empty_operand_in_body, empty_ratio_in_body
from mnncompat.support.clamped_integers import first_clamped
from mnncompat.support.content_sizes import most_boxes_in_session, size_from_values
from mnncompat.support.half_conditions import beyond_half, beyond_half_picked
from mnncompat.support.model_scope import HazardLocation, Scope
from mnncompat.support.moved_outputs import output_moved, output_moved_since_3_0_1
from mnncompat.support.settled_conditions import no_nodes, nodes_out_of_order, scores_as_map, stated_twice
from mnncompat.support.size_conditions import constant_written_out, weight_kept_twice, weights_as_floats

_SOFTMAX_COERCES_BELOW = 13


class Search(NamedTuple):
    """A search that rows of ``rules/graph.toml`` name.

    Attributes:
        find: Yields the locations where the row holds.
        fills: Placeholders of the row's reason that the search provides values for.
    """

    find: Callable[[Scope], Iterable[HazardLocation]]
    fills: tuple[str, ...]


SEARCHES: dict[str, Search] = {}
"""Every search, by the name that rows call it."""

_Find = Callable[[Scope], Iterable[HazardLocation]]


def _search(*fills: str) -> Callable[[_Find], _Find]:
    """Register a function as the search of its name, which fills placeholders of these names."""

    def register(find: _Find) -> _Find:
        SEARCHES[find.__name__.strip("_").replace("_", "-")] = Search(find=find, fills=fills)
        return find

    return register


# ---- opset, domains, functions -------------------------------------------------------------------------------------


@_search("first", "read", "meant", "op")
def _onnx_opset_not_first(scope: Scope) -> Iterator[HazardLocation]:
    """A node whose meaning depends on the opset, where the first entry of `opset_import` is for another domain."""
    first, meant = scope.model.proto.opset_import[0], scope.model.opset
    if first.domain in ONNX_DOMAINS or (first.version < _SOFTMAX_COERCES_BELOW) == (meant < _SOFTMAX_COERCES_BELOW):
        return
    for view, index, node in scope.nodes(["Softmax"]):
        if is_onnx(node) and attribute(node, "axis", -1) != -1:
            values = {"first": first.domain, "read": first.version, "meant": meant, "op": node.op_type}
            yield HazardLocation(view=view, position=index, values=values)


def _foreign(scope: Scope, *, functions: bool, declared: bool) -> Iterator[HazardLocation]:
    own = {(function.domain, function.name) for function in scope.model.proto.functions}
    for view in scope.graphs:
        kinds = [key for key in view.kinds if (key in own or _is_foreign(*key)) and (key in own) is functions]
        wanted = [(index, key) for key in kinds if scope.declares(key[1]) is declared for index in view.kinds[key]]
        for index, (domain, op) in sorted(wanted):
            yield HazardLocation(view=view, position=index, values={"domain": domain or ONNX_DOMAINS[1], "op": op})


def _is_foreign(domain: str, op: str) -> bool:
    return domain not in ONNX_DOMAINS or op in IN_ONNX_DOMAIN


@_search("domain", "op")
def _foreign_op_taken_by_name(scope: Scope) -> Iterator[HazardLocation]:
    """An operator of another domain whose bare name MNN declares."""
    for found in _foreign(scope, functions=False, declared=True):
        if found.values["domain"] != CONTRIB_DOMAIN or found.values["op"] not in RIGHT_BY_NAME:
            yield found


_TRAINING = "ai.onnx.preview.training"


@_search("domain", "op")
def _foreign_op(scope: Scope) -> Iterator[HazardLocation]:
    """An operator of another domain, but not of training, whose name MNN does not declare."""
    return (each for each in _foreign(scope, functions=False, declared=False) if each.values["domain"] != _TRAINING)


@_search("domain", "op")
def _training_op(scope: Scope) -> Iterator[HazardLocation]:
    """An operator of the domain of training."""
    found = _foreign(scope, functions=False, declared=False)
    return (each for each in found if each.values["domain"] == _TRAINING)


@_search("domain", "op")
def _function_call(scope: Scope) -> Iterator[HazardLocation]:
    """A call of a function that the model defines itself."""
    return _foreign(scope, functions=True, declared=False)


@_search("domain", "op")
def _function_taken_by_name(scope: Scope) -> Iterator[HazardLocation]:
    """A call of a function of the model whose bare name MNN declares."""
    return _foreign(scope, functions=True, declared=True)


# ---- storage -------------------------------------------------------------------------------------------------------


@_search("tensor", "dtype")
def _bytes_in_int32_data(scope: Scope) -> Iterator[HazardLocation]:
    """A tensor of one-byte elements in `int32_data`: MNN reads the first bytes of the field, not its elements."""
    for view, index, name, tensor in scope.stored():
        if tensor.data_type in (TensorProto.INT8, TensorProto.BOOL) and stored_in(tensor, "int32_data"):
            stored = np.array(inlined(tensor).int32_data, "<i4")
            if (stored.view("i1")[: stored.size] == stored).all():
                continue
            yield HazardLocation(view=view, position=index, values={"tensor": name, "dtype": _dtype(tensor)})


@_search("tensor", "dtype", "field")
def _halves_in_typed_data(scope: Scope) -> Iterator[HazardLocation]:
    """A tensor in a typed field that the converter does not read."""
    two_bytes = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT16, TensorProto.UINT16)
    for view, index, name, tensor in scope.stored():
        if tensor.data_type not in (*two_bytes, TensorProto.UINT32):
            continue
        is_inline = not is_external(tensor) and not stored_in(tensor, "raw_data")
        typed = stored_in(tensor, "int32_data") > 0
        is_read = typed or name in view.consumers
        in_int32 = tensor.data_type in two_bytes and is_inline and is_read
        if in_int32 or (tensor.data_type == TensorProto.UINT32 and stored_in(tensor, "uint64_data")):
            values: dict[str, object] = {"tensor": name, "dtype": _dtype(tensor)}
            values["field"] = "uint64_data" if not in_int32 else "int32_data" if typed else "no field"
            yield HazardLocation(view=view, position=index, values=values)


@_search("tensor")
def _sparse_initializer(scope: Scope) -> Iterator[HazardLocation]:
    """A sparse initializer."""
    for view in scope.graphs:
        for sparse in view.graph.sparse_initializer if isinstance(view.graph, GraphProto) else ():
            yield HazardLocation(view=view, values={"tensor": sparse.values.name})


@_search("tensor")
def _sparse_constant(scope: Scope) -> Iterator[HazardLocation]:
    """A Constant with `sparse_value`."""
    for view, index, node in scope.nodes(["Constant"]):
        if attribute(node, "sparse_value") is not None:
            yield HazardLocation(view=view, position=index, values={"tensor": node.output[0]})


@_search("tensor", "value")
def _int64_out_of_range(scope: Scope) -> Iterator[HazardLocation]:
    """An int64 constant that MNN clamps, unless it is only read as an end or upper bound, where that is harmless."""
    for view, index, name, tensor in scope.stored():
        if tensor.data_type != TensorProto.INT64:
            continue
        clamped = first_clamped(view, name)
        if clamped is not None and not _only_bounds(view, name):
            yield HazardLocation(view=view, position=index, values={"tensor": name, "value": clamped})


_PASSES_ON = RESHAPES | {"Concat", "Identity"}
# Operands that are an end or an upper bound of a count: no axis has 2^30 elements, no Loop runs as many times.
_BOUNDS = {"Slice": {1, 2}, "Loop": {0}, "NonMaxSuppression": {2}}


def _only_bounds(view: GraphView, name: str) -> bool:
    pending, seen = [name], set[str]()
    while pending:
        name = pending.pop()
        if name in view.outputs:
            return False
        seen.add(name)
        for reader in _readers(view.nodes, name):
            if reader.op_type in _PASSES_ON:
                pending.extend(set(reader.output) - seen)
            elif {at for at, read in enumerate(reader.input) if read == name} - _BOUNDS.get(reader.op_type, set()):
                return False
    return True


def _readers(nodes: Iterable[NodeProto], name: str) -> Iterator[NodeProto]:
    """Nodes that read a value, in nested graphs too."""
    for node in nodes:
        if name in node.input:
            yield node
        for _, graph in subgraphs(node):
            yield from _readers(graph.node, name)


def _dtype(tensor: TensorProto) -> str:
    return onnx.TensorProto.DataType.Name(tensor.data_type)


# ---- random numbers ------------------------------------------------------------------------------------------------


@_search("op", "output")
def _random_numbers(scope: Scope) -> Iterator[HazardLocation]:
    """A node that draws random numbers which an output depends on; other rows are about Dropout in training mode."""
    reached = {
        (each.view.path, each.position): (each, name) for name, nodes in _random_outputs(scope) for each in nodes
    }
    views = {view.path: view for view in scope.graphs}
    for (path, index), (each, name) in reached.items():
        if each.node.op_type in RANDOM and scope.declares(each.node.op_type):
            yield HazardLocation(views[path], index, {"op": each.node.op_type, "output": name})


def _random_outputs(scope: Scope) -> Iterable[tuple[str, tuple[RandomNode, ...]]]:
    return reversed(random_nodes(scope.model).items())  # the first output that a node reaches is the one that is named


# ---- order ----------------------------------------------------------------------------------------------------------


_search()(no_nodes)
_search("reader", "value")(nodes_out_of_order)
_search("value")(stated_twice)
_search("output")(scores_as_map)
_search("op")(empty_operand_in_body)
_search()(empty_ratio_in_body)
_search("what")(api_conditions.subgraph_by_size_in_file)
_search("what")(api_conditions.subgraph_in_file)
for _find_loops in api_conditions.LOOPS:
    _search("what", "time")(_find_loops)
_search("what", "tensor")(size_from_values)
_search()(most_boxes_in_session)
_search("input")(api_conditions.input_not_read)
_search("tensor", "size", "copies", "more")(weight_kept_twice)
_search("kinds", "size", "floats")(weights_as_floats)
_search("op", "more")(constant_written_out)
_search("constant", "number", "op", "shown")(beyond_half)
_search("constant", "number", "op", "shown")(beyond_half_picked)


# ---- inputs and outputs --------------------------------------------------------------------------------------------


@_search("output")
def _pass_through_output(scope: Scope) -> Iterator[HazardLocation]:
    """An Identity from a graph input to a graph output, in a graph with other nodes."""
    main = scope.model.main
    inputs = {value.name for value in scope.model.proto.graph.input} - main.initializers.keys()
    for index, node in enumerate(main.nodes if len(main.nodes) > 1 else ()):
        if node.op_type == "Identity" and node.input[0] in inputs and node.output[0] in main.outputs:
            yield HazardLocation(view=main, position=index, values={"output": node.output[0]})


for _find_moved in (output_moved, output_moved_since_3_0_1):
    _search("op", "before", "output")(_find_moved)


# Types that MNN has tensors for; it has none for narrower integers and floats.
_HELD = frozenset(
    TensorProto.DataType.Value(name)
    for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8")
) | {TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64}


@_search("tensor", "type")
def _unrepresentable_type(scope: Scope) -> Iterator[HazardLocation]:
    """A graph input or output that is not a tensor, or is a tensor of elements that MNN has no type for."""
    main, graph = scope.model.main, scope.model.proto.graph
    for value in (*graph.input, *graph.output):
        kind, element = value.type.WhichOneof("value"), value.type.tensor_type.elem_type
        if value.name in main.initializers or kind is None or (kind == "tensor_type" and element in (0, *_HELD)):
            continue
        shown = TensorProto.DataType.Name(element) if kind == "tensor_type" else kind.removesuffix("_type")
        yield HazardLocation(view=main, values={"tensor": value.name, "type": shown})


@_search("tensor", "dtype")
def _unrepresentable_constant(scope: Scope) -> Iterator[HazardLocation]:
    """A stored tensor, read by a node, of elements that MNN has no type for."""
    for view, index, name, tensor in scope.stored():
        if tensor.data_type not in _HELD and (name in view.consumers or name in view.captured):
            yield HazardLocation(view=view, position=index, values={"tensor": name, "dtype": _dtype(tensor)})


@_search("tensor", "shape")
def _zero_size_tensor(scope: Scope) -> Iterator[HazardLocation]:
    """A graph input or output with a dimension of 0."""
    main, graph = scope.model.main, scope.model.proto.graph
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in main.initializers and any(dim.HasField("dim_value") and not dim.dim_value for dim in dims):
            shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims]
            yield HazardLocation(view=main, values={"tensor": value.name, "shape": shape})


@_search("tensor")
def _bfloat16_constant(scope: Scope) -> Iterator[HazardLocation]:
    """A stored bfloat16 tensor that anything but Cast reads."""
    for view, index, name, tensor in scope.stored():
        if tensor.data_type == TensorProto.BFLOAT16 and any(
            reader.op_type not in CASTS and reader.op_type != "Identity" for reader in _readers(view.nodes, name)
        ):
            yield HazardLocation(view=view, position=index, values={"tensor": name})


# Reductions that give the neutral element for an operand without elements, and those that fail on one.
_SUMS, _NEED_ELEMENTS = ("ReduceSum", "ReduceProd"), ("ReduceMax", "ReduceMin")


@_search("op", "tensor", "shape")
def _zero_size_operand(scope: Scope) -> Iterator[HazardLocation]:
    """A maximum or minimum of a value without elements."""
    for view, index, node in scope.nodes(_NEED_ELEMENTS):
        if is_onnx(node) and 0 in (view.shape(node.input[0]) or ()):
            values = {"op": node.op_type, "tensor": node.input[0], "shape": list(view.shape(node.input[0]) or ())}
            yield HazardLocation(view=view, position=index, values=values)


@_search("op", "tensor")
def _zero_size_sum(scope: Scope) -> Iterator[HazardLocation]:
    """A sum or product over a dimension of 0, with a result that has elements."""
    for view, index, node in scope.nodes(_SUMS):
        if not is_onnx(node):
            continue
        before, after = view.shape(node.input[0]), view.shape(node.output[0])
        if before is not None and 0 in before and (after is None or 0 not in after):
            yield HazardLocation(view=view, position=index, values={"op": node.op_type, "tensor": node.input[0]})
