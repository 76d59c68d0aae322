"""Values that are known before the model runs.

Three definitions of a known value; each includes those above it:

| question | asked of | known is |
| --- | --- | --- |
| `stored_value` | `GraphView` | an initializer, a Constant, an Identity of one |
| `value_through_casts` | `NodeFacts` | a stored value, and Cast, CastLike and Neg of one: numpy computes them |
| `constant_value` | this module, `NodeFacts` | a value computed from stored values and known sizes alone |
| `is_constant` | this module, `NodeFacts` | the same, evaluable or not: nothing is read or computed |

Rows of the table ask ``input.N = "constant"`` by `is_constant`, and ``input.N.value`` by `value_through_casts`, which
is quick; rewrites ask for `constant_value`. ONNX's reference evaluator computes that, one cone of nodes at a time: the
answer needs neither ONNX Runtime nor a guess.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import RANDOM, SIZES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.inference.evaluation import Kept, evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_BYTES = 1 << 26
"""Larger results are not folded: a model should not grow by its folded constants."""

_WIDEST, _TIMES_STORED = 8, 4
"""What is computed may come to a few times what is stored: bytes of an element, and how often."""

_CACHE: WeakKeyDictionary[GraphView, dict[str, NDArray[Any] | None]] = WeakKeyDictionary()


def constant_value(view: GraphView, name: str) -> NDArray[Any] | None:
    """Value of a constant, stored or computed; None of others, of large results, and if it cannot be evaluated.

    Args:
        view: The graph that reads it.
        name: The value.

    Raises:
        ModelError: A tensor is stored externally and cannot be read.
    """
    stored = view.stored_value(name)
    if stored is not None:
        return stored
    known = _CACHE.setdefault(view, {})
    if name not in known:
        known[name] = _evaluate(view, name) if is_constant(view, name) else None
    return known[name]


def _evaluate(view: GraphView, name: str) -> NDArray[Any] | None:
    if name not in view.producers:
        return constant_value(view.parent, name) if view.parent is not None else None
    kept = _kept(view)
    stored: dict[str, TensorProto] = {}
    nodes: dict[int, NodeProto] = {}
    pending = [name]
    while pending:
        wanted = pending.pop()
        index = view.producers.get(wanted)
        if index in nodes or wanted in stored:
            continue
        node = None if index is None else view.nodes[index]
        value = _at_hand(view, wanted, node, kept)
        if value is not None:
            stored[wanted] = array_tensor(value, wanted)
        elif node is None or index is None or wanted in kept.values or not is_onnx(node) or any(subgraphs(node)):
            return None
        else:
            nodes[index] = node
            pending.extend(filter(None, node.input))
    value = evaluate([nodes[index] for index in sorted(nodes)], stored, view.opset, name, kept=kept)
    return value if value is not None and value.dtype.kind in "biuf" and value.nbytes <= LARGEST_BYTES else None


def _at_hand(view: GraphView, name: str, node: NodeProto | None, kept: Kept) -> NDArray[Any] | None:
    """A value that need not be computed: a known size, one that was computed before, or one from outside."""
    sizes = _shape_of(view, node) if node is not None and node.op_type in SIZES else None
    if sizes is not None or name in kept.values:
        return kept.values[name] if sizes is None else sizes
    return constant_value(view, name) if node is None else None


def _kept(view: GraphView) -> Kept:
    found: Kept | None = view.kept.get("evaluated")
    if found is None:
        stored = sum(_WIDEST * prod(tensor.dims) for tensor in view.initializers.values())
        found = view.kept["evaluated"] = Kept(_TIMES_STORED * stored)
    return found


def _shape_of(view: GraphView, node: NodeProto) -> NDArray[Any] | None:
    shape = view.shape(node.input[0])
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        return None
    if node.op_type == "Size":
        return np.asarray(np.prod(np.asarray(shape, np.int64), dtype=np.int64))
    return np.asarray(shape, np.int64)[slice(attribute(node, "start", 0), attribute(node, "end"))]


def is_constant(view: GraphView, name: str) -> bool:
    """True if a value is stored, or computed from nothing but such values."""
    return name in constants(view)


def constants(view: GraphView) -> frozenset[str]:
    """Names of all values of a graph and the ones around it that are known before the model runs."""
    found: frozenset[str] | None = view.kept.get("constants")
    if found is None:
        known = set(constants(view.parent)) if view.parent is not None else set[str]()
        if known:
            known -= {name for node in view.nodes for name in node.output}
        known |= view.initializers.keys()
        known.add("")
        for index, operands in enumerate(view.operands):
            may_be = known.issuperset(operands) or view.nodes[index].op_type in _FOLDED_OTHERWISE
            if may_be and _is_folded(view, index, operands, known):
                known.update(view.results[index])
        found = view.kept["constants"] = frozenset(known) - {""}
    return found


_FOLDED_OTHERWISE = (*SIZES, "CastLike")
"""Operators that do not need the value of each operand."""


def _is_folded(view: GraphView, index: int, operands: tuple[str, ...], known: set[str]) -> bool:
    node = view.nodes[index]
    op = node.op_type
    if not is_onnx(node) or op in RANDOM or index in view.held:  # subgraphs may read other values
        return False
    if op in SIZES:
        shape = view.shape(operands[0])
        return shape is not None and all(isinstance(dim, int) for dim in shape)
    return known.issuperset(operands[:1] if op == "CastLike" else operands)
