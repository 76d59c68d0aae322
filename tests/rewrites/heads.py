"""Random fully connected heads: the source of the features, the layers, the operators between, and the outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from graph_builder import STORAGES, GraphBuilder
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, numpy_helper, parser

Draw = st.DrawFn
_IDIOMS = ("gather", "slice", "range")
BATCHES: tuple[int | str, ...] = ("n", "n", 1, 2, 5)


@dataclass(slots=True)
class Head:
    """A head that is being generated.

    Attributes:
        draw: Hypothesis's.
        b: The model.
        batch: Its first dimension: a number, or a symbol.
        mnn: True to leave out operators that MNN computes wrongly for reasons other than the head.
        weights: Stored matrices (name, (in, out) or (out, in)), to be used again.
    """

    draw: Draw
    b: GraphBuilder
    batch: int | str
    mnn: bool = False
    weights: list[tuple[str, tuple[int, int]]] = field(default_factory=list)

    def pick(self, *choices: object) -> object:
        return self.draw(st.sampled_from(choices))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def size(self, most: int = 4) -> int:
        return self.draw(st.integers(1, most))

    def storage(self) -> str:
        return self.draw(st.sampled_from((*STORAGES, "overridable")))


@st.composite
def heads(draw: Draw, *, mnn: bool = False) -> ModelProto:
    """A model with one or more fully connected layers, all of which can be written as convolutions."""
    opset = draw(st.integers(7, 22))
    half = not mnn and draw(st.integers(0, 7)) == 0
    ir_version = 3 if opset < 9 else 0
    dtype = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    builder = GraphBuilder(opset, dtype, seed=draw(st.integers(0, 2**16)), ir_version=ir_version)
    head = Head(draw=draw, b=builder, batch=draw(st.sampled_from(BATCHES)), mnn=mnn)
    value, features = _source(head)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2)))):
        _branch(head, value, features)
    return builder.build()


def parsed(text: str, opset: int = 13, /, **weights: tuple[int, ...]) -> ModelProto:
    """A model written out as ONNX text; weights are given by their shapes."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]>\nhead {text}')
    rng = np.random.default_rng(1)
    for name, shape in weights.items():
        values = rng.uniform(-1.0, 1.0, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(model, full_check=True)
    return model


def _branch(head: Head, value: str, features: int) -> None:
    """Layers with operators between them, ending in an output of the graph."""
    for _ in range(head.draw(st.integers(1, 3))):
        for _ in range(head.draw(st.integers(0, 2))):
            value, features = _between(head, value, features)
        value, features = layer(head, value, features)
    for _ in range(head.draw(st.integers(0, 2))):
        value, features = _between(head, value, features)
    _tail(head, value, features)


# ---- sources -------------------------------------------------------------------------------------------------------


def _source(head: Head) -> tuple[str, int]:
    """A value [N, K] and K."""
    value, features = head.draw(st.sampled_from(_SOURCES))(head)
    for op in head.draw(st.lists(st.sampled_from(("Identity", "Dropout", "Cast")), max_size=1)):
        value = _nothing(head, op, value)
    return value, features


def _image(head: Head, rank: int = 4) -> tuple[str, list[int]]:
    """A value of any rank, straight from the input or behind an operator, and the sizes of one sample."""
    sizes = [head.size(5), *(head.size() for _ in range(rank - 2))]
    value = head.b.input([head.batch, *sizes])
    return (head.b.node("Relu", value) if head.flag() else value), sizes


def _flatten(head: Head) -> tuple[str, int]:
    rank = head.draw(st.integers(2, 5))
    value, sizes = _image(head, rank)
    return _flattened(head, value, rank), math.prod(sizes)


def _flattened(head: Head, value: str, rank: int) -> str:
    if head.flag():
        return head.b.node("Flatten", value)
    return head.b.node("Flatten", value, axis=head.pick(1, 1 - rank) if head.b.opset >= 11 else 1)


def _reshape(head: Head) -> tuple[str, int]:
    value, sizes = _image(head, head.draw(st.integers(2, 5)))
    return _reshaped(head, value, math.prod(sizes)), math.prod(sizes)


def _reshaped(head: Head, value: str, features: int, batch_of: str = "") -> str:
    """To [N, K]; `batch_of`: the value whose Shape gives N."""
    static = isinstance(head.batch, int)
    wanted = head.pick("width", "copied", "copied full", "idiom", *(("leading", "full") if static else ("idiom",)))
    if wanted == "idiom":
        return head.b.node("Reshape", value, _target(head, batch_of or value, features))
    first = {"leading": head.batch, "full": head.batch, "width": -1}.get(str(wanted), 0)
    target = [int(first), -1 if wanted in ("leading", "copied") else features]
    return head.b.node("Reshape", value, head.b.ints(target, head.storage()))


def _target(head: Head, of: str, features: int) -> str:
    """[N, -1] or [N, K], computed from the Shape of a value as the exporters do."""
    b, rest = head.b, head.pick(-1, features)
    idiom = head.draw(st.sampled_from(_IDIOMS if b.opset >= 15 else _IDIOMS[:2]))
    if idiom == "gather":
        zero = b.constant(np.array(0, dtype=np.int64), head.storage())
        batch = b.over_axes("Unsqueeze", b.node("Gather", b.node("Shape", of), zero, axis=0), [0])
    elif idiom == "range":
        batch = b.node("Shape", of, start=0, end=1)
    elif b.opset >= 10:
        batch = b.node("Slice", b.node("Shape", of), b.ints([0]), b.ints([1]), b.ints([0]))
    else:
        batch = b.node("Slice", b.node("Shape", of), axes=[0], starts=[0], ends=[1])
    return b.node("Concat", batch, b.ints([int(str(rest))], head.storage()), axis=0)


def _shape_of_input(head: Head) -> tuple[str, int]:
    sizes = [head.size(5), head.size(), head.size()]
    image = head.b.input([head.batch, *sizes])
    value = head.b.node("Relu", image)
    return _reshaped(head, value, math.prod(sizes), batch_of=image), math.prod(sizes)


def _chain(head: Head) -> tuple[str, int]:
    value, sizes = _image(head)
    merged = head.b.node("Reshape", value, head.b.ints([0, sizes[0], sizes[1] * sizes[2]]))
    if head.flag():
        merged = head.b.node("Identity", merged)
    return _reshaped(head, merged, math.prod(sizes)), math.prod(sizes)


def _pool(head: Head) -> tuple[str, int]:
    value, sizes = _image(head)
    value = head.b.node(str(head.pick("GlobalAveragePool", "GlobalMaxPool")), value)
    if head.pick("squeeze", "flatten", "reshape") == "squeeze":
        axes = [2, 3] if head.b.opset < 11 or head.flag() else [-1, -2]
        return head.b.over_axes("Squeeze", value, axes), sizes[0]
    return (_flattened(head, value, 4) if head.flag() else _reshaped(head, value, sizes[0])), sizes[0]


def _reduce(head: Head) -> tuple[str, int]:
    value, sizes = _image(head)
    op = str(head.pick("ReduceMean", "ReduceMean", "ReduceMax"))
    axes = [2, 3]
    if head.flag():
        value, axes = head.b.node("Transpose", value, perm=[0, 2, 3, 1]), [1, 2]
    elif head.b.opset >= 11 and head.flag():
        axes = [-2, -1]
    return head.b.over_axes(op, value, axes, keepdims=0), sizes[0]


def _both_pools(head: Head) -> tuple[str, int]:
    value, sizes = _image(head)
    pooled = [head.b.over_axes(op, value, [2, 3], keepdims=0) for op in ("ReduceMean", "ReduceMax")]
    return head.b.node("Concat", *pooled, axis=1), 2 * sizes[0]


def _features(head: Head) -> tuple[str, int]:
    features = head.size(9)
    return head.b.input([head.batch, features]), features


def _channels_last(head: Head) -> tuple[str, int]:
    value, sizes = _image(head)
    value = head.b.node("Transpose", value, perm=head.pick([0, 2, 3, 1], [0, 2, 3, 1], [0, 3, 1, 2], [0, 3, 2, 1]))
    return (_flattened(head, value, 4) if head.flag() else _reshaped(head, value, math.prod(sizes))), math.prod(sizes)


def _two_images(head: Head) -> tuple[str, int]:
    """Two flattened values side by side, before any layer."""
    (first, one), (second, two) = _flatten(head), _channels_last(head)
    return head.b.node("Concat", first, second, axis=1), one + two


_SOURCES: tuple[Callable[[Head], tuple[str, int]], ...] = (
    _flatten,
    _reshape,
    _shape_of_input,
    _chain,
    _pool,
    _reduce,
    _both_pools,
    _features,
    _channels_last,
    _two_images,
)

# ---- layers --------------------------------------------------------------------------------------------------------


def layer(head: Head, value: str, features: int, outputs: int = 0) -> tuple[str, int]:
    """A Gemm, or a MatMul with or without Add."""
    outputs = outputs or head.size(6)
    return (_gemm if head.flag() else _matmul)(head, value, features, outputs), outputs


def _gemm(head: Head, value: str, features: int, outputs: int) -> str:
    out_first = head.flag()
    attributes = {"transB": 1} if out_first else dict(head.draw(st.sampled_from(((), (("transB", 0),)))))
    scaled = [name for name in ("alpha", "beta") if head.draw(st.integers(0, 3)) == 0]
    factors = {name: head.draw(st.sampled_from((1.0, 0.5, -2.0))) for name in scaled}
    inputs = [value, _weight(head, features, outputs, out_first=out_first)]
    bias = _bias(head, outputs, "empty", "absent") if head.b.opset >= 11 else _bias(head, outputs)
    return head.b.node("Gemm", *inputs, *([] if bias is None else [bias]), **attributes, **factors)


def _matmul(head: Head, value: str, features: int, outputs: int) -> str:
    product = head.b.node("MatMul", value, _weight(head, features, outputs, out_first=False))
    bias = _bias(head, outputs, "absent")
    if bias is None:
        return product
    return head.b.node("Add", *((product, bias) if head.flag() else (bias, product)))


def _bias(head: Head, outputs: int, *also: str) -> str | None:
    kind = head.pick((), (1,), (1, 1), (outputs,), (outputs,), (1, outputs), *also)
    if isinstance(kind, str):
        return "" if kind == "empty" else None
    assert isinstance(kind, tuple)
    return head.b.constant(head.b.random(*kind), head.storage())


def _weight(head: Head, features: int, outputs: int, *, out_first: bool) -> str:
    """A matrix as the layer reads it, stored either way round and in any form, or one that is stored already."""
    wanted = (outputs, features) if out_first else (features, outputs)
    known = [name for name, shape in head.weights if shape == wanted]
    if known and head.flag():
        return known[0]
    turned = head.flag()
    matrix = head.b.random(*(reversed(wanted) if turned else wanted))
    name = head.b.constant(matrix, head.storage())
    head.weights.append((name, matrix.shape))
    if turned:
        name = head.b.node("Transpose", name, **({"perm": [1, 0]} if head.flag() else {}))
    return name


# ---- between -------------------------------------------------------------------------------------------------------


def _between(head: Head, value: str, features: int) -> tuple[str, int]:
    return head.draw(st.sampled_from(_BETWEEN))(head, value, features)


def _nothing(head: Head, op: str, value: str) -> str:
    if op == "Cast":
        return head.b.node("Cast", value, to=head.b.dtype)
    if op == "Dropout":
        if head.b.opset >= 12:
            ratio = head.b.constant(np.array(0.3, dtype=np.float32))
            training = [head.b.constant(np.zeros((), dtype=np.bool_))] if head.flag() else []
            return head.b.node("Dropout", value, ratio, *training)
        return head.b.node("Dropout", value, ratio=0.3)
    return head.b.node(op, value)


def _activation(head: Head, value: str, features: int) -> tuple[str, int]:
    b = head.b
    simple = ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Identity", "Dropout", "Cast"]
    simple += ["HardSwish"] if b.opset >= 14 else []
    simple += ["Gelu"] if b.opset >= 20 else []
    op = str(head.pick(*simple, "Clip", "PRelu", "gate"))
    if op == "Clip":
        if b.opset < 11:
            return b.node("Clip", value, min=-0.5, max=6.0), features
        return b.node("Clip", value, b.scalar(-0.5), *([b.scalar(6.0)] if head.flag() else [])), features
    if op == "PRelu":
        shape = head.pick((features,), (1, features), (1,))
        assert isinstance(shape, tuple)
        return b.node("PRelu", value, b.constant(b.random(*shape), head.storage())), features
    if op == "gate":
        gates = [value, b.node("Sigmoid", value)]
        return b.node("Mul", *(gates if head.flag() else reversed(gates))), features
    return _nothing(head, op, value), features


def _normalisation(head: Head, value: str, features: int) -> tuple[str, int]:
    b = head.b
    scale, shift, mean = (b.constant(b.random(features)) for _ in range(3))
    variance = b.constant(b.random(features, low=0.25, high=2.0))
    return b.node("BatchNormalization", value, scale, shift, mean, variance, epsilon=1e-3), features


def _arithmetic(head: Head, value: str, features: int) -> tuple[str, int]:
    op = str(head.pick("Add", "Sub", "Mul", "Div"))
    shape = head.pick((features,), (1, features), (), (1,), (1, 1))
    assert isinstance(shape, tuple)
    constant = head.b.constant(head.b.random(*shape, low=0.5, high=2.0), head.storage())
    operands = (value, constant) if op == "Div" or head.flag() else (constant, value)
    return head.b.node(op, *operands), features


def _residual(head: Head, value: str, features: int) -> tuple[str, int]:
    other, _ = layer(head, value, features, features)
    if head.flag():
        other, _ = _activation(head, other, features)
    op = str(head.pick("Add", "Add", "Sub", "Mul"))
    return head.b.node(op, *((value, other) if head.flag() else (other, value))), features


def _concat(head: Head, value: str, features: int) -> tuple[str, int]:
    first, one = layer(head, value, features) if head.flag() else (value, features)
    second, two = layer(head, value, features)
    axis = head.pick(1, -1) if head.b.opset >= 11 else 1
    return head.b.node("Concat", first, second, axis=axis), one + two


def _tapped(head: Head, value: str, features: int) -> tuple[str, int]:
    """The 2-D value is needed by others as well: the graph's output, or a node that is not carried."""
    tap = head.pick("output", "ReduceSum", "Unsqueeze")
    if tap == "ReduceSum":
        head.b.output(head.b.over_axes("ReduceSum", value, [1], keepdims=0), [head.batch])
    elif tap == "Unsqueeze":
        head.b.output(head.b.over_axes("Unsqueeze", value, [1]), [head.batch, 1, features])
    else:
        head.b.output(head.b.node("Identity", value), [head.batch, features])
    return value, features


def _not_carried(head: Head, value: str, features: int) -> tuple[str, int]:
    b = head.b
    if head.pick("norm", "reshape") == "norm" and b.opset >= 17:
        scale, shift = (b.constant(b.random(features)) for _ in range(2))
        return b.node("LayerNormalization", value, scale, shift, epsilon=1e-2), features
    column = b.node("Reshape", value, b.ints([0, 1, features]))
    return b.over_axes("Squeeze", b.node("Neg", column), [1]), features


def _softmax(head: Head, value: str, features: int) -> tuple[str, int]:
    axis = head.pick(None, 1, -1) if head.b.opset >= 11 else head.pick(None, 1)
    attributes = {} if axis is None else {"axis": axis}
    return head.b.node(str(head.pick("Softmax", "LogSoftmax")), value, **attributes), features


_BETWEEN = (_activation, _activation, _normalisation, _arithmetic, _residual, _concat, _tapped, _not_carried, _softmax)


def _tail(head: Head, value: str, features: int) -> None:
    """End in an output: as it is, or as the class."""
    if head.pick("as it is", "as it is", "class") == "as it is":
        head.b.output(value, [head.batch, features])
        return
    keep = head.pick(0, 1)
    axis = head.pick(1, -1) if head.b.opset >= 11 else 1
    index = head.b.node(str(head.pick("ArgMax", "ArgMin")), value, axis=axis, keepdims=keep)
    head.b.output(index, [head.batch, 1] if keep else [head.batch], TensorProto.INT64)
    head.b.output(head.b.node("Neg", value), [head.batch, features])
