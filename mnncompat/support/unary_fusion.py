"""Groups of nodes that MNN's converter writes as one operator of one operand, such as SiLU of Sigmoid and Mul.

The patterns are those of ``tools/converter/source/optimizer/merge/FuseTemplateOp.cpp`` and ``FuseGeLu.cpp`` of MNN
3.6.1; an operand in another order is another pattern there, and stays several operators.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from onnx import NodeProto, TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import constant_value, is_constant

# Operators that are one operator of one operand there.
_UNARY = frozenset(
    (
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Clip", "Cos", "Cosh", "Erf", "Exp"),
        *("Floor", "Gelu", "HardSwish", "LeakyRelu", "Log", "Neg", "PRelu", "Reciprocal", "Relu", "Round"),
        *("Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Sqrt", "Tan", "Tanh"),
    )
)
# Reductions that begin with an operator of one operand.
_BEGINNINGS = {"ReduceL1": "Abs", "ReduceL2": "Square", "ReduceSumSquare": "Square", "ReduceLogSumExp": "Exp"}

_X = "x"
_Pattern = str | float | tuple["_Pattern", ...] | None
"""`_X` for the operand, a number for a scalar, None for any constant, or an operator with its operands."""
_SHARE = 0.1666666716337204  # 1 / 6 as float32
_RELU6 = (0.0, 6.0)
_CLIPPED: _Pattern = ("Clip", ("Add", _X, 3.0))  # to `_RELU6`
_ERF: _Pattern = ("Add", ("Erf", ("Mul", _X, 0.7071067690849304)), 1.0)
_PATTERNS: tuple[tuple[str, tuple[_Pattern, ...]], ...] = (
    ("Mul", ("Mul", _X, _X)),
    ("Pow", ("Pow", _X, 2.0)),
    ("SiLU", ("Mul", _X, ("Sigmoid", _X))),
    ("SiLU", ("Mul", ("Sigmoid", _X), _X)),
    ("HardSwish", ("Mul", ("Mul", _X, _CLIPPED), _SHARE)),
    ("HardSwish", ("Mul", _X, ("Mul", _CLIPPED, _SHARE))),
    ("GELU", ("Mul", ("Mul", _ERF, _X), 0.5)),
    ("GELU", ("Mul", ("Mul", _X, _ERF), 0.5)),
)
_COMMUTATIVE = ("Add", "Mul")
_CUBE: _Pattern = ("Mul", ("Pow", _X, None), None)
_TANH: _Pattern = ("Mul", ("Add", ("Tanh", ("Mul", ("Add", _X, _CUBE), None)), None), None)
# Any order of operands, and any constants.
_TANH_GELU: tuple[_Pattern, ...] = ("Mul", _X, _TANH)
_LAST = frozenset(("Div", *(str(pattern[0]) for _, pattern in _PATTERNS), str(_TANH_GELU[0])))
"""What a pattern may end with; a quotient by a constant is a product."""


class Fused(NamedTuple):
    """Nodes that become one operator of one operand.

    Attributes:
        label: What they compute: an operator's name, SiLU, HardSwish or GELU.
        kind: Equal for those that become equal operators of the same operand, which are merged into one.
        operand: Name of the value that they read, as the nodes spell it.
        nodes: Their indices.
    """

    label: str
    kind: tuple[object, ...]
    operand: str
    nodes: frozenset[int]


def fused_at(view: GraphView, index: int) -> Iterator[Fused]:
    """The groups that end with a node, without a look at who else reads their values."""
    node = view.nodes[index]
    if not is_onnx(node) or not node.input:
        return
    if _is_unary(view, node):
        stated = tuple(sorted((each.name, each.SerializeToString()) for each in node.attribute))
        yield Fused(node.op_type, (node.op_type, stated, *node.input[1:]), node.input[0], frozenset((index,)))
    beginning = _BEGINNINGS.get(node.op_type)
    if beginning is not None:
        kind = (beginning,) if beginning == "Square" else (beginning, ())
        yield Fused(node.op_type, kind, node.input[0], frozenset((index,)))
    if node.op_type not in _LAST:
        return
    for label, pattern in _PATTERNS:
        yield from _match(view, index, label, pattern, any_order=False)
    yield from _match(view, index, "GELU", _TANH_GELU, any_order=True)


def is_scalar(view: GraphView, name: str, number: float) -> bool:
    """Whether a value is a constant without dimensions that equals a number as float32.

    MNN gives ``value_float`` and ``value_int`` of a Constant one dimension.
    """
    value = _scalar(view, name)
    return value is not None and value == _float32(number)


def _scalar(view: GraphView, name: str) -> float | None:
    """The number as float32."""
    node = view.producer(name)
    is_number = node is not None and node.op_type == "Constant" and attribute(node, "value") is None
    if is_number or not is_constant(view, name):
        return None
    shape = view.shape(name)
    if shape is not None and shape != ():
        return None
    stored = view.stored_numbers(name)
    if stored is not None:
        return None if stored.shape or stored.data_type == TensorProto.BOOL else _float32(stored.values[0])
    value = constant_value(view, name)
    return float(np.float32(value)) if value is not None and value.shape == () and value.dtype.kind in "fiu" else None


def _float32(number: float) -> float:
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", number))
    except OverflowError:
        return math.copysign(math.inf, number)
    return float(rounded)


def _is_unary(view: GraphView, node: NodeProto) -> bool:
    if node.op_type not in _UNARY:
        return False
    if node.op_type == "PRelu":
        slope = view.shape(node.input[1])
        return slope is not None and all(size == 1 for size in slope) and is_constant(view, node.input[1])
    return node.op_type != "Clip" or all(is_constant(view, name) for name in node.input[1:] if name)


def _match(
    view: GraphView, index: int, label: str, pattern: tuple[_Pattern, ...], *, any_order: bool
) -> Iterator[Fused]:
    for operand, nodes in _Matcher(view, any_order=any_order).node(index, pattern, None):
        if operand is not None:
            yield Fused(label, ("Square" if label in ("Mul", "Pow") else label,), operand, nodes)


_MOST_OPERANDS = 3
"""Of Clip: no operator of the patterns has more."""
_Bound = Iterator[tuple[str | None, frozenset[int]]]
"""What `_X` stands for, if that is known, and the nodes so far."""


class _Operand(NamedTuple):
    name: str
    inverted: bool = False
    """It divides."""


class _Matcher:
    """Matches patterns against the nodes before a value."""

    def __init__(self, view: GraphView, *, any_order: bool) -> None:
        self._view = view
        self._any_order = any_order

    def node(self, index: int, pattern: tuple[_Pattern, ...], operand: str | None) -> _Bound:
        op, *wanted = pattern
        for operands in self._operands(self._view.nodes[index], str(op)):
            if len(operands) == len(wanted):
                for bound, nodes in self._all(list(zip(operands, wanted, strict=True)), operand):
                    yield bound, nodes | {index}

    def _all(self, pairs: list[tuple[_Operand, _Pattern]], operand: str | None) -> _Bound:
        if not pairs:
            yield operand, frozenset()
            return
        (found, pattern), *others = pairs
        for bound, nodes in self._one(found, pattern, operand):
            for final, more in self._all(others, bound):
                yield final, nodes | more

    def _one(self, found: _Operand, pattern: _Pattern, operand: str | None) -> _Bound:
        name = found.name
        if isinstance(pattern, float) or pattern is None:
            if is_constant(self._view, name) and (pattern is None or self._equals(found, pattern)):
                yield operand, frozenset()
        elif found.inverted:
            return
        elif pattern == _X:
            if operand in (None, name) and not is_constant(self._view, name):
                yield name, frozenset()
        elif isinstance(pattern, tuple) and name in self._view.producers:
            yield from self.node(self._view.producers[name], pattern, operand)

    def _equals(self, found: _Operand, number: float) -> bool:
        value = _scalar(self._view, found.name)
        if value is None or (found.inverted and not value):
            return False
        return (_float32(1 / value) if found.inverted else value) == _float32(number)

    def _operands(self, node: NodeProto, op: str) -> Iterator[list[_Operand]]:
        """The operands of a node, if it is this operator; a quotient by a constant is a product there."""
        if not is_onnx(node) or len(node.input) > _MOST_OPERANDS:
            return
        operands = [_Operand(name) for name in node.input]
        if op == "Clip" == node.op_type:
            if _bounds(self._view, node) == _RELU6:
                yield operands[:1]
        elif node.op_type == op:
            yield operands
            if self._any_order and op in _COMMUTATIVE:
                yield operands[::-1]
        elif op == "Mul" and node.op_type == "Div" and is_constant(self._view, node.input[1]):
            yield [operands[0], _Operand(node.input[1], inverted=True)]


def only_number(view: GraphView, name: str) -> float | None:
    """The only element of a constant."""
    small = view.stored_numbers(name)
    if small is not None:
        return float(small.values[0]) if len(small.values) == 1 else None
    value = constant_value(view, name)
    return float(value.reshape(())) if value is not None and value.size == 1 else None


def _bounds(view: GraphView, node: NodeProto) -> tuple[float | None, ...]:
    """Lower and upper bound of a Clip; None for one that is not stated, or not constant."""
    found: list[float | None] = []
    for position, name in enumerate(("min", "max"), 1):
        operand = node.input[position] if position < len(node.input) else ""
        found.append(only_number(view, operand) if operand else attribute(node, name))
    return tuple(found)
