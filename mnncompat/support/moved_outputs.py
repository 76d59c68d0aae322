"""Outputs of a graph that MNN's converter loses, because it moves the operator that reads them before their producer.

``tools/converter/source/optimizer/postconvert/MoveUnaryOpBeforeReshape.cpp`` of MNN 3.6.1 exchanges a change of shape
and an operator of one operand that alone reads its result, and does not look at the outputs.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from onnx import NodeProto

from mnncompat.graph.operator_traits import MATRIX_PRODUCTS, RESHAPES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.model_scope import HazardLocation, Scope
from mnncompat.support.relations.activation_fusion import is_bias
from mnncompat.support.unary_fusion import Fused, fused_at, is_scalar

_SINCE_3_0_1 = frozenset(("Mul", "ReduceL2", "ReduceSumSquare", "SiLU"))
"""Labels of what 3.0.0 leaves several operators, or an operator of two operands."""
_SOFTMAX_COERCES_BELOW = 13
_KEEPING = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}


@dataclass(frozen=True, slots=True)
class MovedOutput:
    """An output that is lost.

    Attributes:
        index: A node that reads it, and that could read a copy instead.
        label: What is moved: an operator, or several that become one.
        before: The node that computes the output.
        names: The output's name, and those of its copies in any shape.
    """

    index: int
    label: str
    before: NodeProto
    names: frozenset[str]


def output_moved(scope: Scope) -> Iterator[HazardLocation]:
    """A change of shape whose result is a graph output, and which MNN exchanges with the operator that reads it."""
    return _locations(scope, since_3_0_1=False)


def output_moved_since_3_0_1(scope: Scope) -> Iterator[HazardLocation]:
    """The same for a square written as Mul, ReduceL2 or ReduceSumSquare, and for SiLU."""
    return _locations(scope, since_3_0_1=True)


def _locations(scope: Scope, *, since_3_0_1: bool) -> Iterator[HazardLocation]:
    for view in scope.graphs:
        for found in moved_outputs(view):
            if (found.label in _SINCE_3_0_1) is since_3_0_1:
                values = {"op": found.label, "before": found.before.op_type, "output": found.before.output[0]}
                yield HazardLocation(view=view, position=found.index, values=values)


def moved_outputs(view: GraphView) -> Iterator[MovedOutput]:
    """The outputs of a graph that are lost."""
    if view not in _MOVED:
        _MOVED[view] = tuple(_find(view))
    return iter(_MOVED[view])


_MOVED: weakref.WeakKeyDictionary[GraphView, tuple[MovedOutput, ...]] = weakref.WeakKeyDictionary()


def _find(view: GraphView) -> Iterator[MovedOutput]:
    if all(op not in _RESHAPING for _, op in view.kinds):
        return
    search = _Search(view)
    copied = _copied_to_outputs(view)
    for index in sorted({view.producers[name] for name in copied if name in view.producers}):
        result = view.nodes[index].output[0]
        if result in copied and result in view.consumers and search.is_followed_by_reshape(index):
            yield from search.moved(index)


class _Search:
    """What follows which nodes of a graph, once the converter has moved what it moves."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self._known: dict[int, bool] = {}

    @cached_property
    def _operands(self) -> dict[str, list[Fused]]:
        return _fused_by_operand(self._view)

    def is_followed_by_reshape(self, index: int) -> bool:
        """The converter has a change of shape compute the result of a node.

        The node is one itself, or it is the only reader of such a result: the two were exchanged.
        """
        chain: list[int] = []
        while index not in self._known:
            node = self._view.nodes[index]
            if node.op_type in _RESHAPING and is_onnx(node) and _ends_in_reshape(self._view, node):
                self._known[index] = True
                break
            chain.append(index)
            before = self._moved_over(index)
            if before is None or before in chain:
                self._known[index] = False
                break
            index = before
        found = self._known[index]
        self._known |= dict.fromkeys(chain, found)
        return found

    def _moved_over(self, index: int) -> int | None:
        """The node before one, if the converter exchanges the two where the former is a change of shape."""
        for group in fused_at(self._view, index):
            source = _copy_of(self._view, group.operand)
            moved = [] if source is None else [*self.moved(source)]
            if len(moved) == 1 and moved[0].index in group.nodes:  # equal readers are merged after this
                return source
        return None

    def moved(self, index: int) -> Iterator[MovedOutput]:
        """What is moved over a node, if a change of shape computes its result."""
        result = self._view.nodes[index].output[0]
        names = frozenset((result, *_copies(self._view, result, shaped=True)))
        if names.isdisjoint(self._view.captured):
            yield from _moved(self._view, self._view.nodes[index], names, self._operands)


def _copy_of(view: GraphView, name: str) -> int | None:
    """The node that computes a value, or the value that it is a copy of in the same shape."""
    index = view.producers.get(name)
    while index is not None and view.nodes[index].op_type not in RESHAPES and _copied(view, view.nodes[index]):
        index = view.producers.get(view.nodes[index].input[0])
    return index


def _copied_to_outputs(view: GraphView) -> set[str]:
    """The graph's outputs, and the values that are copied to them in the same shape."""
    found, waiting = set[str](), [*view.outputs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            node = view.producer(name)
            if node is not None and node.op_type not in RESHAPES and name in _copied(view, node):
                waiting.append(node.input[0])
    return found


def _fused_by_operand(view: GraphView) -> dict[str, list[Fused]]:
    found: dict[str, list[Fused]] = defaultdict(list)
    for index in range(len(view.nodes)):
        for group in fused_at(view, index):
            found[group.operand].append(group)
    return found


def _moved(
    view: GraphView, node: NodeProto, names: frozenset[str], operands: Mapping[str, list[Fused]]
) -> Iterator[MovedOutput]:
    """The output, if all that reads it becomes one operator of one operand."""
    readers = {index for name in names for index in view.consumers.get(name, ())}
    readers = {
        index for index in readers if names.isdisjoint(_copied(view, view.nodes[index])) and not _is_dead(view, index)
    }
    kinds: dict[tuple[object, ...], list[Fused]] = defaultdict(list)
    for name in names:
        for group in operands.get(name, ()):
            kinds[group.kind].append(group)
    for groups in kinds.values():
        covered = frozenset[int]().union(*(group.nodes for group in groups))
        if len(groups) > 1 and all(view.is_external_use(view.nodes[max(each.nodes)].output[0]) for each in groups):
            continue  # outputs are not merged with one another, so there are several readers
        if readers and covered >= readers and _is_closed(view, covered, {max(group.nodes) for group in groups}):
            for group in groups:
                yield MovedOutput(max(readers & group.nodes), group.label, node, names)
            return


def _is_closed(view: GraphView, nodes: frozenset[int], last: set[int]) -> bool:
    """Nothing but these nodes reads the values that they compute, those of the last ones aside."""
    between = {name for index in nodes - last for name in view.nodes[index].output if name}
    return all(not view.is_external_use(name) and nodes.issuperset(view.consumers.get(name, ())) for name in between)


def _is_dead(view: GraphView, index: int) -> bool:
    return not any(view.is_external_use(name) or name in view.consumers for name in view.nodes[index].output if name)


def _copies(view: GraphView, name: str, *, shaped: bool) -> Iterator[str]:
    """The copies of a value, those in other shapes too if wanted."""
    for index in dict.fromkeys(view.consumers.get(name, ())):
        if shaped or view.nodes[index].op_type not in RESHAPES:
            for copy in _copied(view, view.nodes[index], name):
                yield copy
                yield from _copies(view, copy, shaped=shaped)


def _copied(view: GraphView, node: NodeProto, name: str | None = None) -> tuple[str, ...]:
    """The result of a copy or change of shape that the converter moves an operator over; nothing for other nodes."""
    if not is_onnx(node) or not node.input or name not in (None, node.input[0]):
        return ()
    op, operand, results = node.op_type, node.input[0], tuple(node.output[:1])
    if op in ("Identity", "Dropout", *RESHAPES):
        return results
    if op == "Concat" and len(node.input) == 1:
        return results
    if op == "Cast" and view.dtype(operand) is not None and view.dtype(operand) == attribute(node, "to"):
        return results
    return results if op in _KEEPING and is_scalar(view, node.input[1], _KEEPING[op]) else ()


_RESHAPING = ("Add", "ArgMax", "ArgMin", "Einsum", "MaxUnpool", "Softmax", *RESHAPES, *MATRIX_PRODUCTS)


def _ends_in_reshape(view: GraphView, node: NodeProto) -> bool:
    """The converter writes the node as a change of shape, or as other operators followed by one."""
    match node.op_type:
        case "ArgMax" | "ArgMin":
            found = attribute(node, "keepdims", 1) == 1
        case "Add":
            producers = [view.producer(name) for name in node.input] if is_bias(view, node) else []
            found = any(each is not None and each.op_type == "MatMul" and _is_layer(view, each) for each in producers)
        case "Softmax":
            found = view.opset < _SOFTMAX_COERCES_BELOW and attribute(node, "axis", 1) != -1
        case "MaxUnpool":
            found = len(node.input) == 2  # noqa: PLR2004 - without the shape of its result
        case "Einsum":
            found = _einsum_ends_in_reshape(node)
        case op:
            found = op in RESHAPES or (op in MATRIX_PRODUCTS and _is_layer(view, node))
    return bool(found)


def _is_layer(view: GraphView, node: NodeProto) -> bool:
    """A product is a fully connected layer there, and nothing is multiplied or added behind it."""
    weight = view.shape(node.input[1])
    if not is_constant(view, node.input[1]) or weight is None or len(weight) != 2:  # noqa: PLR2004 - a matrix
        return False
    is_scaled = node.op_type == "Gemm" and attribute(node, "alpha", 1.0) != 1.0
    if is_scaled or not any(node.input[2:]):
        return not is_scaled
    bias, columns = view.shape(node.input[2]), weight[0 if attribute(node, "transB", 0) else 1]
    sizes = [dim for dim in bias or () if isinstance(dim, int)]
    return bias is not None and is_constant(view, node.input[2]) and prod(sizes) == columns


def _einsum_ends_in_reshape(node: NodeProto) -> bool:
    """The converter writes the Einsum as a product of matrices whose result it reshapes, and does not permute."""
    stated = attribute(node, "equation", b"")
    if not isinstance(stated, bytes):
        return False
    equation = stated.decode(errors="replace").replace(" ", "")
    operands, arrow, result = equation.replace("...", ".").partition("->")
    terms = operands.split(",")
    if not arrow or not result or len(terms) != 2 or equation == "i,i...->...":  # noqa: PLR2004 - of two operands
        return False
    one, two = terms
    if _is_plain_product(one, two, result):
        return False
    if result[0] == ".":  # an ellipsis is treated as one axis until the end
        return True
    order = [
        *(index for index in result if index in one and index in two),
        *(index for index in result if index not in two),
        *(index for index in result if index not in one),
    ]
    return not set(one) <= set(result) and order == list(result)


def _is_plain_product(one: str, two: str, result: str) -> bool:
    """The converter writes an Einsum of these terms as a product of matrices alone."""
    summed = next((index for index in one if index not in result), None)
    if len(result) == len(one) == len(two) == 4 and summed is not None:  # noqa: PLR2004 - two batches and a matrix
        kept = one.replace(summed, "")
        return result == kept + "".join(index for index in two if index != summed and index not in kept)
    if len(result) == len(one) == len(two) == 3:  # noqa: PLR2004 - a batch and a matrix
        return one[0] == two[0] == result[0] and not set(one[1:]).isdisjoint(two[1:])
    return False
