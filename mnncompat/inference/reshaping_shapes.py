"""How each operator makes the shapes of its outputs from those of its inputs, with sizes as expressions.

A function is given the state of the propagation and the node, and returns the shapes of the outputs in order; None for
a shape that is not followed. See `mnncompat.inference.symbolic_shapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import NodeProto

from mnncompat.graph.tensor_values import tensor_array
from mnncompat.inference.shape_propagation import Propagation, Shape
from mnncompat.inference.size_expression import Size, operation, product

Function = Callable[[Propagation, NodeProto], Sequence[Shape | None] | None]

KEEP_SHAPE = frozenset(
    (
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Clip", "Cos"),
        *("Cosh", "CumSum", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax"),
        *("IsInf", "IsNaN", "LRN", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "Mish", "Neg", "Not"),
        *("QuantizeLinear", "DequantizeLinear", "RandomNormalLike", "RandomUniformLike", "Reciprocal", "Relu"),
        *("Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt"),
        *("Swish", "Tan", "Tanh", "ThresholdedRelu", "Trilu", "InstanceNormalization", "GroupNormalization"),
        *("RMSNormalization", "MeanVarianceNormalization", "ScatterElements", "ScatterND", "Scatter"),
        *("TensorScatter", "EyeLike", "Bernoulli", "ReverseSequence", "Dropout"),
    )
)
"""Operators whose outputs have the shape of the first input."""

_BROADCAST = (
    *("Add", "Sub", "Mul", "Div", "Mod", "Pow", "PRelu", "And", "Or", "Xor", "Equal", "Greater", "GreaterOrEqual"),
    *("Less", "LessOrEqual", "Max", "Min", "Sum", "Mean", "Where", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift"),
)
_ARITHMETIC: dict[str, Callable[[Size, Size], Size]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
}
_OPERATIONS = {"Div": "div", "Mod": "mod", "Max": "max", "Min": "min"}
_PAIR = 2


def _broadcast(run: Propagation, node: NodeProto) -> list[Shape | None]:
    _calculate(run, node)
    return [run.broadcast(*(run.shape(name) for name in node.input))]


def _calculate(run: Propagation, node: NodeProto) -> None:
    """Arithmetic on small whole numbers: sizes that the graph computes."""
    values = [run.value(name) for name in node.input]
    if node.op_type == "Where":
        _choose(run, node, values)
        return
    if len(values) != _PAIR:
        return
    left, right = values
    if left is None or right is None:
        return
    count = max(len(left), len(right))
    if {len(left), len(right)} - {1, count}:
        return
    pairs = list(zip(*(side * count if len(side) == 1 else side for side in (left, right)), strict=True))
    if node.op_type in _ARITHMETIC:
        function = _ARITHMETIC[node.op_type]
        result = [None if a is None or b is None else function(a, b) for a, b in pairs]
    elif node.op_type in _OPERATIONS:
        kind = _OPERATIONS[node.op_type]
        result = [None if a is None or b is None else operation(kind, a, b) for a, b in pairs]
    elif node.op_type == "Equal":
        result = [_same(a, b) for a, b in pairs]
    else:
        return
    run.set_value(node.output[0], result)


def _same(one: Size | None, two: Size | None) -> Size | None:
    """Equality, where it does not depend on the dimensions; a dimension is taken not to be -1."""
    if one is None or two is None:
        return None
    difference = (one - two).number
    if difference is not None:
        return Size(int(difference == 0))
    return Size(0) if Size(-1) in (one, two) else None


def _choose(run: Propagation, node: NodeProto, values: Sequence[list[Size | None] | None]) -> None:
    if any(value is None for value in values):
        return
    condition, yes, no = (value or [] for value in values)
    count = max(len(condition), len(yes), len(no))
    columns = [side * count if len(side) == 1 else side for side in (condition, yes, no)]
    if any(len(side) != count for side in columns):
        return
    chosen = [
        None if test is None or test.number is None else (one if test.number else two)
        for test, one, two in zip(*columns, strict=True)
    ]
    run.set_value(node.output[0], chosen)


# ---- what reads and makes shapes -----------------------------------------------------------------------------------


def _shape(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [(None,)]
    part = shape[slice(run.attribute(node, "start", 0), run.attribute(node, "end"))]
    run.set_value(node.output[0], part)
    return [(Size(len(part)),)]


def _size(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is not None and None not in shape:
        run.set_value(node.output[0], [product(size for size in shape if size is not None)])
    return [()]


def _same_value(run: Propagation, node: NodeProto) -> list[Shape | None]:
    value = run.value(node.input[0])
    if value is not None:
        run.set_value(node.output[0], value)
    return [run.shape(node.input[0])]


def _negate(run: Propagation, node: NodeProto) -> list[Shape | None]:
    value = run.value(node.input[0])
    if value is not None:
        run.set_value(node.output[0], [None if each is None else -each for each in value])
    return [run.shape(node.input[0])]


def _constant_of_shape(run: Propagation, node: NodeProto) -> list[Shape | None]:
    target = run.value(node.input[0])
    if target is None:
        return [None]
    count = product(size for size in target if size is not None).number if None not in target else None
    value = run.attribute(node, "value")
    if count is not None and count <= _PAIR**6:
        number = 0.0 if value is None else float(tensor_array(value).reshape(-1)[0])
        if number.is_integer():
            run.set_value(node.output[0], [Size(int(number))] * count)
    return [tuple(target)]


def _range(run: Propagation, node: NodeProto) -> list[Shape | None]:
    parts = [run.value(name) for name in node.input]
    start, limit, step = (part[0] if part else None for part in parts)
    if start is None or limit is None or step is None or not step.number:
        return [(None,)]
    count = (limit - start).ceil_div(step)
    if count.number is not None and start.number is not None and count.number <= _PAIR**6:
        run.set_value(node.output[0], [start + step * each for each in range(count.number)])
    return [(count,)]


def _expand(run: Propagation, node: NodeProto) -> list[Shape | None]:
    target = run.value(node.input[1])
    return [None if target is None else run.broadcast(run.shape(node.input[0]), tuple(target))]


def _reshape(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    target = run.value(node.input[1]) if len(node.input) > 1 else [Size(n) for n in run.attribute(node, "shape", [])]
    value = run.value(node.input[0])
    if value is not None:
        run.set_value(node.output[0], value)
    if target is None:
        rank = run.shape(node.input[1])
        count = rank[0].number if rank and rank[0] is not None else None
        return [None if count is None else (None,) * count]
    copies = not run.attribute(node, "allowzero", 0)
    result: list[Size | None] = []
    for axis, size in enumerate(target):
        is_copied = copies and size is not None and size.number == 0
        result.append((shape[axis] if shape is not None and axis < len(shape) else None) if is_copied else size)
    return [_with_rest(run, shape, result)]


def _with_rest(run: Propagation, shape: Shape | None, result: list[Size | None]) -> Shape:
    """The shape with -1 computed from the others, and the requirement that the number of elements stays."""
    open_axes = [axis for axis, size in enumerate(result) if size is not None and size.number == -1]
    others = [size for axis, size in enumerate(result) if axis not in open_axes]
    if shape is None or None in shape or None in others:
        return tuple(None if axis in open_axes else size for axis, size in enumerate(result))
    total = product(size for size in shape if size is not None)
    rest = product(size for size in others if size is not None)
    if not open_axes:
        run.require("equal", total, rest, shape, tuple(result))
        return tuple(result)
    run.require("multiple", total, rest, shape, tuple(result))
    quotient = _quotient(shape, others) or total // rest
    return tuple(quotient if axis in open_axes else size for axis, size in enumerate(result))


def _quotient(shape: Shape, others: Sequence[Size | None]) -> Size | None:
    """The quotient of two products, common factors left out; None if that leaves a fraction."""
    above = [size for size in shape if size is not None]
    below = []
    for size in others:
        if size in above and size is not None:
            above.remove(size)
        elif size is not None:
            below.append(size)
    number = product(above) // product(below)
    return number if not below or number.is_linear else None


def _flatten(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None or None in shape:
        return [(None, None)]
    axis = run.attribute(node, "axis", 1)
    sizes = [size for size in shape if size is not None]
    return [(product(sizes[:axis]), product(sizes[axis:]))]


def _transpose(run: Propagation, node: NodeProto) -> list[Shape | None]:
    shape = run.shape(node.input[0])
    if shape is None:
        return [None]
    perm = run.attribute(node, "perm") or range(len(shape))[::-1]
    array = run.array(node.input[0])
    if array is not None:
        run.set_value(node.output[0], list(array.transpose(perm).reshape(-1)))
    return [tuple(shape[axis] for axis in perm)]


def axes_of(run: Propagation, node: NodeProto, position: int = 1) -> list[int] | None:
    """Axes as an operand or an attribute; None if there are none, or unknown ones."""
    if len(node.input) > position and node.input[position]:
        return run.integers(node.input[position])
    return run.attribute(node, "axes")  # type: ignore[no-any-return]


def _unsqueeze(run: Propagation, node: NodeProto) -> list[Shape | None]:
    _same_value(run, node)
    shape, axes = run.shape(node.input[0]), axes_of(run, node)
    if shape is None or axes is None:
        return [None]
    rank = len(shape) + len(axes)
    added = {axis % rank for axis in axes}
    rest = iter(shape)
    return [tuple(Size(1) if axis in added else next(rest) for axis in range(rank))]


def _squeeze(run: Propagation, node: NodeProto) -> list[Shape | None]:
    _same_value(run, node)
    shape, axes = run.shape(node.input[0]), axes_of(run, node)
    if shape is None:
        return [None]
    if axes is None:
        if any(size is None or size.number is None for size in shape):
            return [None]
        return [tuple(size for size in shape if size is not None and size.number != 1)]
    gone = {axis % len(shape) for axis in axes}
    for axis in gone:
        run.require("equal", shape[axis], 1, shape)
    return [tuple(size for axis, size in enumerate(shape) if axis not in gone)]


RESHAPING: dict[str, Function] = {
    **dict.fromkeys(_BROADCAST, _broadcast),
    "Cast": _same_value,
    "CastLike": _same_value,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": _same_value,
    "Floor": _same_value,
    "Ceil": _same_value,
    "Neg": _negate,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
