"""Values that shape inference would list element by element, and that are too long for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod

from onnx import GraphProto, NodeProto, TensorProto

from mnncompat.graph.protos import attribute, constant_array, is_onnx
from mnncompat.graph.small_tensors import small_tensor
from mnncompat.graph.validation import all_nodes
from mnncompat.inference.evaluation import stored_array
from mnncompat.inference.negative_sizes import PROPAGATES

LONGEST_VALUE = 100_000
"""Elements of one value that inference may list."""
MOST_AXES = 64
"""Of a value whose shape another one states."""
_MOST_FOLLOWED = 4_000_000
"""Elements of all values together that inference lists; each takes 50 bytes."""
# Operators that make many elements of few, and the operands that say how many.
_GROWS = {"ConstantOfShape": (0,), "Expand": (1,), "Range": (0, 1, 2), "Tile": (1,)}
_LENGTHENS = frozenset(("Concat", *_GROWS))


def may_lengthen(kinds: Iterable[tuple[str, str]]) -> bool:
    """Whether a model has operators that make values longer, by domain and op type of its nodes."""
    return any(op in _LENGTHENS for _, op in kinds)


def has_long_values(graph: GraphProto, *, lengthens: bool) -> bool:
    """True if values that inference computes may become long: a chain of Concat doubles one in every step."""
    given = _given_lengths(graph)
    if not lengthens:
        return max(given.values(), default=0) * len(graph.node) > _MOST_FOLLOWED and _are_many(graph, given)
    if _are_many(graph, given):
        return True
    stored = {tensor.name: tensor for tensor in graph.initializer}
    lengths = {name: prod(tensor.dims) for name, tensor in stored.items()}
    nodes = [*all_nodes(graph.node)]
    constants = {node.output[0]: node for node in nodes if node.op_type == "Constant" and node.output}
    for node in nodes:
        if node.op_type in _GROWS and _is_enormous(node, stored, constants):
            return True
        if not is_onnx(node) or node.op_type not in PROPAGATES:
            continue
        operands = [lengths.get(name, 0) for name in node.input]
        length = sum(operands) if node.op_type == "Concat" else max((MOST_AXES, *operands))
        if length > LONGEST_VALUE:
            return True
        lengths |= dict.fromkeys(node.output, length)
    return False


def _given_lengths(graph: GraphProto) -> dict[str, int]:
    """Lengths of vectors and numbers that are stored, or are inputs of a static length: inference lists both."""
    found = {tensor.name: prod(tensor.dims) for tensor in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if len(dims) <= 1 and all(dim.dim_value > 0 for dim in dims):
            found[value.name] = prod(dim.dim_value for dim in dims)
    return found


def _are_many(graph: GraphProto, given: Mapping[str, int]) -> bool:
    """True if the values that are computed from given ones alone have too many elements together."""
    lengths, total = dict(given), 0
    for node in graph.node:
        read = node.input[:] if node.op_type in PROPAGATES else ()
        if not read or not lengths.keys() >= {*read}:
            continue
        operands = [lengths[name] for name in read]
        length = sum(operands) if node.op_type == "Concat" else max(operands)
        total += length
        if total > _MOST_FOLLOWED:
            return True
        lengths |= dict.fromkeys(node.output, length)
    return False


def _is_enormous(node: NodeProto, stored: Mapping[str, TensorProto], constants: Mapping[str, NodeProto]) -> bool:
    """True if a node makes more elements of constants than inference should list: it lists them."""
    operands = []
    for position in _GROWS[node.op_type]:
        name = node.input[position] if position < len(node.input) else ""
        numbers = _numbers(constants[name] if name in constants else stored.get(name))
        if numbers is None:
            return False
        operands.append(numbers)
    if node.op_type != "Range":
        return abs(prod(operands[0])) > LONGEST_VALUE
    if any(len(each) != 1 for each in operands):
        return False
    start, limit, step = (each[0] for each in operands)
    return abs(limit - start) > LONGEST_VALUE * abs(step)


def _numbers(stated: NodeProto | TensorProto | None) -> list[float] | None:
    """The numbers that a Constant or an initializer states; None of others, and of values that are no numbers."""
    tensor = attribute(stated, "value") if isinstance(stated, NodeProto) else stated
    if isinstance(tensor, TensorProto):
        small = small_tensor(tensor) if tensor.data_type != TensorProto.BOOL else None
        if small is not None:
            return [float(each) for each in small.values]
    if stated is None:
        return None
    value = constant_array(stated) if isinstance(stated, NodeProto) else stored_array(stated)
    return [float(each) for each in value.reshape(-1)] if value is not None and value.dtype.kind in "iuf" else None
