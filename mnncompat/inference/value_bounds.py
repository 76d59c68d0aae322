"""The least number that a value can hold, as far as the operators that compute it tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import CASTS, FINDERS, MOVES, NEVER_NEGATIVE, ROUNDINGS
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView

_FURTHEST = 40
"""Longest chain of operators that is followed."""
_UNSIGNED = (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64, TensorProto.BOOL)
# Operators whose result is one of the first operand's elements, rounded or converted at most.
_FIRST = MOVES | ROUNDINGS | frozenset(("Cast", "CastLike", "ReduceMax", "ReduceMin"))
# Sums of several elements: not negative if these are not.
_SUMS = frozenset(("CumSum", "ReduceSum", "ReduceMean", "AveragePool", "GlobalAveragePool", "ReduceProd"))
_MOVING = MOVES | frozenset(CASTS)
_ASSUMED_SIZE = 1
"""Dimensions that are not static are taken for at least this, but for those of a selection."""


def lower_bound(view: GraphView, name: str) -> float:
    """A number that no element of a value is below; -inf if nothing is known.

    Args:
        view: The graph that reads it.
        name: The value.
    """
    return _bound(view, name, _FURTHEST)


def _bound(view: GraphView, name: str, further: int) -> float:
    stored = view.stored_value(name)
    if stored is not None:
        return (
            float(np.min(stored)) if stored.size and stored.dtype.kind in "biuf" else 0.0 if not stored.size else -inf
        )
    least = 0.0 if view.dtype(name) in _UNSIGNED else -inf
    node = view.producer(name)
    if node is None:
        is_outer = view.parent is not None and name not in view.input_names and name not in view.initializers
        return max(least, _bound(view.parent, name, further)) if is_outer and view.parent is not None else least
    if not is_onnx(node) or not further:
        return least
    found = _of_node(view, node, name, lambda each: _bound(view, each, further - 1))
    return max(least, found)


_Bound = Callable[[str], float]


def _of_node(view: GraphView, node: NodeProto, name: str, bound: _Bound) -> float:
    op = node.op_type
    found = -inf
    if op in ("Shape", "Size"):
        found = _least_size(view, node)
    elif (op == "TopK" and name in node.output[1:]) or op in NEVER_NEGATIVE or _counts_from_start(view, node):
        found = 0.0
    elif op in _FIRST:
        found = bound(node.input[0])
        found = float(np.floor(found)) if op in (*ROUNDINGS, *CASTS) else found
    elif op in _SUMS:
        found = 0.0 if bound(node.input[0]) >= 0 else -inf
    elif op in _RULES:
        found = _RULES[op](node, bound)
    return found


def _counts_from_start(view: GraphView, node: NodeProto) -> bool:
    """``Where(Less(i, 0), i + size, i)``; the size is assumed to be that of an axis."""
    test = view.producer(node.input[0]) if node.op_type == "Where" else None
    if test is None or test.op_type != "Less":
        return False
    zero = view.stored_value(test.input[1])
    return zero is not None and not zero.any() and test.input[0] == node.input[2]


def _least_size(view: GraphView, node: NodeProto) -> float:
    shape = view.shape(node.input[0])
    if shape is None:
        return 0.0
    open_size = 0 if _is_selection(view, node.input[0]) else _ASSUMED_SIZE
    sizes = [dim if isinstance(dim, int) else open_size for dim in shape]
    if node.op_type == "Size":
        return float(np.prod(sizes))
    return float(min(sizes[slice(attribute(node, "start", 0), attribute(node, "end"))], default=0))


def _is_selection(view: GraphView, name: str) -> bool:
    """The size of a value depends on how many elements were selected, and that may be none."""
    pending, seen = [name], set[str]()
    while pending and len(seen) < _FURTHEST:
        name = pending.pop()
        node = view.producer(name)
        if name in seen or node is None or not is_onnx(node):
            continue
        seen.add(name)
        if node.op_type in FINDERS:
            return True
        if node.op_type in _MOVING:
            pending.extend(filter(None, node.input))
    return False


def _sum(node: NodeProto, bound: _Bound) -> float:
    return sum(bound(name) for name in node.input)


def _product(node: NodeProto, bound: _Bound) -> float:
    if node.input[0] == node.input[-1]:
        return 0.0
    factors = [bound(name) for name in node.input]
    return float(np.prod(factors)) if all(factor >= 0 for factor in factors) else -inf


def _quotient(node: NodeProto, bound: _Bound) -> float:
    return 0.0 if all(bound(name) >= 0 for name in node.input) else -inf


def _least(node: NodeProto, bound: _Bound) -> float:
    return min((bound(name) for name in node.input if name), default=-inf)


def _most(node: NodeProto, bound: _Bound) -> float:
    return max((bound(name) for name in node.input if name), default=-inf)


def _clipped(node: NodeProto, bound: _Bound) -> float:
    stated = attribute(node, "min")
    low = bound(node.input[1]) if len(node.input) > 1 and node.input[1] else -inf if stated is None else float(stated)
    return max(low, bound(node.input[0]))


def _chosen(node: NodeProto, bound: _Bound) -> float:
    return min(bound(name) for name in node.input[1:])


def _counted(node: NodeProto, bound: _Bound) -> float:
    """Range: with positive steps nothing is below the start, with negative ones nothing below the limit."""
    start, limit, step = node.input
    return bound(start) if bound(step) >= 0 else min(bound(start), bound(limit))


def _remainder(node: NodeProto, bound: _Bound) -> float:
    """The remainder has the sign of the divisor, or of the dividend with ``fmod``."""
    decides = node.input[0] if attribute(node, "fmod", 0) else node.input[1]
    return 0.0 if bound(decides) >= 0 else -inf


def _power(node: NodeProto, bound: _Bound) -> float:
    return 0.0 if bound(node.input[0]) >= 0 else -inf


def _scattered(node: NodeProto, bound: _Bound) -> float:
    return min(bound(node.input[0]), bound(node.input[2])) if not attribute(node, "reduction") else -inf


_RULES: Mapping[str, Callable[[NodeProto, _Bound], float]] = {
    "Add": _sum,
    "Clip": _clipped,
    "Concat": _least,
    "Div": _quotient,
    "Max": _most,
    "Mean": _least,
    "Min": _least,
    "Mod": _remainder,
    "Mul": _product,
    "Pow": _power,
    "Range": _counted,
    "ScatterElements": _scattered,
    "ScatterND": _scattered,
    "Sum": _sum,
    "Where": _chosen,
}
