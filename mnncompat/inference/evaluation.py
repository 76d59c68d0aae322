"""A few nodes of a graph, evaluated by ONNX's reference evaluator, each bounded before it is computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import onnx
from onnx import GraphProto, NodeProto, TensorProto, TypeProto

from mnncompat.errors import ModelError
from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.payloads import fill, is_external
from mnncompat.graph.tensor_values import array_tensor, data_type_of, tensor_array
from mnncompat.graph.wellformed import require_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_VALUE_BYTES = 1 << 26
"""No value above it is computed, not even in between."""
_MOST_COMPUTED, _STEP = 1 << 32, 1 << 17
"""Bytes of all values that are computed for one graph, and what a node counts at least."""
_READ_BY_INFERENCE = 1024
"""Elements of an operand whose value inference may look at."""
_MOST_PRODUCTS = 1 << 28
"""Elements of operands times elements of the result: the evaluator is numpy and Python."""
_KEEPS_SIZE = frozenset(
    (
        *("Compress", "GatherND", "GroupNormalization", "MeanVarianceNormalization", "NonMaxSuppression", "NonZero"),
        *("Slice", "Squeeze", "TopK", "Unique", "Unsqueeze"),
    )
)
"""Operators whose result may be of an unknown size, but not much larger than their operands."""


class _TooLarge(Exception):  # noqa: N818 - a result, not an error
    """A value would be larger than `LARGEST_VALUE_BYTES`."""


class Kept:
    """What is kept of the evaluations for one graph, so that together they are bounded.

    Args:
        most: Bytes that may be computed beyond the usual ones.

    Attributes:
        values: Small values that were computed; None for those that cannot be.
    """

    def __init__(self, most: int = 0) -> None:
        self.values: dict[str, NDArray[Any] | None] = {}
        self._left = _MOST_COMPUTED + most

    def add(self, results: Mapping[str, Any]) -> None:
        """Take the results of a node.

        Raises:
            _TooLarge: Too much was computed.
        """
        for name, value in results.items():
            self._left -= max(_STEP, getattr(value, "nbytes", 0))
            if isinstance(value, np.ndarray) and value.size <= _READ_BY_INFERENCE and value.dtype.kind in "biuf":
                self.values[name] = value
        if self._left < 0:
            raise _TooLarge

    def fail(self, nodes: Sequence[NodeProto]) -> None:
        """Note that the first of these nodes cannot be computed, nor what follows from it."""
        failed = {*nodes[0].output}
        for node in nodes[1:]:
            if not failed.isdisjoint(node.input):
                failed.update(node.output)
        self.values |= dict.fromkeys(filter(None, failed))


def evaluate(
    nodes: Iterable[NodeProto],
    stored: Mapping[str, TensorProto],
    opset: int,
    name: str,
    *,
    kept: Kept | None = None,
) -> NDArray[Any] | None:
    """Compute one value; neither ONNX Runtime nor MNN is needed.

    Args:
        nodes: All nodes that lead to it, of ONNX's own domain, in the graph's order.
        stored: What they read, and no node among them computes: name -> value.
        opset: Of ONNX's own operators.
        name: The value.
        kept: Takes the small values on the way too, and says how much may be computed.

    Returns:
        None if the evaluator fails, if it or a value on the way would be larger than `LARGEST_VALUE_BYTES`, or if all
        that was computed comes to more than `kept` allows.
    """
    if name in stored:
        return stored_array(stored[name])
    from onnx.reference import ReferenceEvaluator

    nodes = list(nodes)
    kept = Kept() if kept is None else kept
    graph = GraphProto(name="evaluated", node=nodes)
    graph.output.append(onnx.ValueInfoProto(name=name))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    fill(model)
    try:
        with np.errstate(all="ignore"):
            result = _run(ReferenceEvaluator(model), stored, opset, name, kept)
    except Exception:  # noqa: BLE001 - operators are numpy code, and may raise anything
        return None
    return np.asarray(result)


def why_not_computed(node: NodeProto, operands: Sequence[NDArray[Any] | None], opset: int) -> str | None:
    """What ONNX's reference evaluator objects to in a node of ONNX's own domain, for some values of its operands.

    Args:
        node: The node; it holds no graphs.
        operands: Values in the order of its operands, None for those that are left out.
        opset: Of ONNX's own operators.

    Returns:
        The objection, in one line; None if it computes the node, if it has no such operator, or if the result may be
        too large to be computed.
    """
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import RuntimeImplementationError

    alone = GraphProto(name="evaluated", node=[node])
    alone.output.extend(onnx.ValueInfoProto(name=name) for name in filter(None, node.output))
    model = onnx.helper.make_model(alone, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    try:
        with np.errstate(all="ignore"):
            _require_bounded(node, operands, opset)
            (step,) = ReferenceEvaluator(model).rt_nodes_
            step.run(*operands)
    except (_TooLarge, MemoryError, NotImplementedError, RuntimeImplementationError):
        return None
    except Exception as error:  # noqa: BLE001 - operators are numpy code, and may raise anything
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def stored_array(tensor: TensorProto) -> NDArray[Any] | None:
    """The value of a stored tensor; None if its data do not fill its dimensions, or are not in the model."""
    try:
        require_tensor(tensor, tensor.name)
    except ModelError:
        return None
    return None if is_external(tensor) else tensor_array(tensor)


def _run(evaluator: Any, stored: Mapping[str, TensorProto], opset: int, name: str, kept: Kept) -> Any:
    """Run the nodes one by one, as `ReferenceEvaluator.run` does; a value is let go when nothing reads it any more."""
    values: dict[str, Any] = {"": None}
    steps = evaluator.rt_nodes_
    reads = Counter(each for node in steps for each in node.input)
    reads[name] += 1
    for place, node in enumerate(steps):
        for each in node.input:
            if each not in values:
                values[each] = tensor_array(stored[each])
        operands = [values[each] for each in node.input]
        try:
            _require_bounded(node.onnx_node, operands, opset)
            results = dict(zip(node.output, node.run(*operands), strict=False))
        except Exception:
            kept.fail([step.onnx_node for step in steps[place:]])
            raise
        values |= results
        kept.add(results)
        for each in node.input:
            reads[each] -= 1
            if each and not reads[each]:
                values.pop(each, None)
    return values[name]


def _require_bounded(node: NodeProto, operands: Sequence[Any], opset: int) -> None:
    """Infer what the node would compute.

    Raises:
        _TooLarge: It is too large, or may be.
    """
    given = sum(each.nbytes for each in operands if isinstance(each, np.ndarray))
    named = dict(zip(node.input, operands, strict=False))
    arrays = {each: value for each, value in named.items() if isinstance(value, np.ndarray) and each}
    types = {each: _type(value) for each, value in arrays.items()}
    data = {
        each: array_tensor(np.asarray(value), each)
        for each, value in arrays.items()
        if value.size <= _READ_BY_INFERENCE
    }
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    found = onnx.shape_inference.infer_node_outputs(
        schema, node, types, data, opset_imports=[onnx.helper.make_opsetid("", opset)]
    )
    for kind in found.values():
        elements = _elements(kind)
        if elements is None and (node.op_type not in _KEEPS_SIZE or given > LARGEST_VALUE_BYTES):
            raise _TooLarge
        if elements is not None and 8 * elements > max(LARGEST_VALUE_BYTES, 2 * given):
            raise _TooLarge
        if node.op_type in ("MatMul", "Gemm", "Conv", "Einsum") and (elements or 1) * given > _MOST_PRODUCTS:
            raise _TooLarge
    if not found:
        raise _TooLarge


def _type(value: NDArray[Any]) -> TypeProto:
    return onnx.helper.make_tensor_type_proto(data_type_of(value.dtype), value.shape)


def _elements(kind: TypeProto) -> int | None:
    """Elements of a tensor; None if a size is unknown, or it is no tensor."""
    shape = kind.tensor_type.shape
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in shape.dim):
        return None
    return prod(dim.dim_value for dim in shape.dim)
