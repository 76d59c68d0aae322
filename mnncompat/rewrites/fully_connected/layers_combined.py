"""Two fully connected layers with nothing between them as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from onnx import TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Category
from mnncompat.rewrites.core.base import Example, Match, Refusal, Rewrite
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.fully_connected.layers import Layer, layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.graph.editor import GraphEditor
    from mnncompat.support.target import Target

_OPSET = 7
"""From this opset on Gemm broadcasts its bias without an attribute."""
_MOST_PRODUCTS = 1 << 34
"""Multiplications for one new weight: some seconds of a processor."""


class _Pair(NamedTuple):
    """Two layers, the second of which is all that reads the first."""

    first: Layer
    second: Layer

    @property
    def nodes(self) -> tuple[int, ...]:
        return (self.first.node, *self.first.folded, self.second.node, *self.second.folded)


class LayersCombined(Rewrite):
    """Write two fully connected layers with nothing between them as one.

    **What.** A Gemm, or MatMul with or without Add, over a constant weight, whose only reader is another one: the
    bottleneck of a factorised layer, or an embedding and the classifier behind it, where no activation stands between
    them (an exported model has no Dropout). Only where the one layer has no more weights than the two.

    **Why.** MNN computes both, one after the other, with changes of layout between them. Measured with MNN 3.6.1 on
    x86-64 (Module API, one thread, batch 1 and 8; original / rewritten, above 1 the rewrite wins), two layers with 128
    numbers between them and 10 outputs: 1.09 and 1.15 for 64 features, 1.20 and 1.47 for 512, 1.32 and 1.56 for 800,
    2.38 and 2.32 for 3,136.

    **Before and after**::

        [N,800] -Gemm-> [N,128] -Gemm-> [N,10]
        [N,800] -Gemm-> [N,10]

    **Algebra.** ``(x A' + a) B' + b = x (B A)' + (B a + b)``, computed in float64 and rounded once.

    **Refuses** nothing by name: where the first product is used elsewhere or is an output, a weight is used twice or is
    not float32, or the one layer would have more weights, both stay.

    **Source.** https://onnx.ai/onnx/operators/onnx__Gemm.html
    """

    code = "MNN904"
    name = "layers-combined"
    summary = "two fully connected layers with nothing between them run faster as one"
    category = Category.PERFORMANCE
    op_types = ("Gemm", "MatMul")
    before = (("fully-connected-to-convolution", "one layer in the place of two becomes one convolution"),)

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:  # noqa: ARG002
        """Yield the pairs; of three layers in a row the first two."""
        if view.is_function or view.opset < _OPSET or len(view.nodes_of("Gemm", "MatMul")) <= 1:
            return
        taken: set[int] = set()
        for pair in _pairs(view):
            if taken.isdisjoint(pair.nodes):
                taken.update(pair.nodes)
                notes = ((pair.second.node, _note(view, pair)),)
                yield Match(rewrite=self.name, nodes=frozenset(pair.nodes), notes=notes, plan=(view, pair))

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace a pair by a Gemm; or by a MatMul and an Add where the values may have more than two axes."""
        view, pair = match.plan
        matrix, bias = _combined(view, pair)
        node = view.nodes[pair.second.node]
        name = node.name or pair.second.output
        value, result = editor.tensor(pair.first.value), editor.tensor(pair.second.output)
        for index in pair.nodes:
            editor.remove(index)
        at = max(pair.nodes)
        if _is_gemm(view, pair):
            bias = np.zeros(len(matrix), matrix.dtype) if bias is None else bias
            held = [editor.constant(f"{name}_weight", matrix), editor.constant(f"{name}_bias", bias)]
            editor.insert(at, "Gemm", [value, *held], [result], {"transB": 1}, name=name)
            return
        weight = editor.constant(f"{name}_weight", matrix.T)
        if bias is None:
            editor.insert(at, "MatMul", [value, weight], [result], name=name)
            return
        product = editor.variable(f"{name}_product", pair.first.weight.dtype, view.shape(pair.second.output))
        editor.insert(at, "MatMul", [value, weight], [product], name=name)
        editor.insert(at, "Add", [product, editor.constant(f"{name}_bias", bias)], [result], name=f"{name}_add")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Models that must be rewritten, and look-alikes that stay."""
        return _EXAMPLES


def _pairs(view: GraphView) -> Iterator[_Pair]:
    layers = {found.output: found for index, _ in view.nodes_of("Gemm", "MatMul") for found in _layers(view, index)}
    for second in layers.values():
        first = layers.get(second.value)
        if first is None or view.is_external_use(first.output) or len(view.consumers[first.output]) > 1:
            continue
        pair = _Pair(first, second)
        if _is_smaller(pair) and all(_is_own(view, each) for each in pair) and _has_flat_bias(view, pair):
            yield pair


def _layers(view: GraphView, index: int) -> Iterator[Layer]:
    found = layer(view, index)
    if isinstance(found, Layer):
        yield found


def _is_smaller(pair: _Pair) -> bool:
    """Whether one weight has no more elements than the two, and does not take long to compute."""
    (middle, inputs), (outputs, _) = pair.first.weight.shape, pair.second.weight.shape
    both = middle * inputs + outputs * middle
    return outputs * inputs <= both and outputs * middle * inputs <= _MOST_PRODUCTS


def _is_own(view: GraphView, found: Layer) -> bool:
    """Whether a weight is a float32 tensor of this graph that nothing else reads, so that it goes."""
    name = found.weight.tensor
    if found.weight.dtype != TensorProto.FLOAT or name in view.captured:
        return False
    return len(view.consumers.get(name, ())) == 1


def _has_flat_bias(view: GraphView, pair: _Pair) -> bool:
    """Whether no bias adds an axis to a product of vectors."""
    if _is_gemm(view, pair):
        return True
    return all(len(view.shape(each.bias) or ()) <= 1 for each in pair if each.bias is not None)


def _is_gemm(view: GraphView, pair: _Pair) -> bool:
    return any(view.nodes[each.node].op_type == "Gemm" for each in pair)


def _combined(view: GraphView, pair: _Pair) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """The weight (out, in) and the bias (out,) of the one layer."""
    first, second = (_matrix(view, each) for each in pair)
    biases = [_bias(view, each) for each in pair]
    bias = None
    if any(each is not None for each in biases):
        carried = np.zeros(len(second)) if biases[0] is None else second @ biases[0]
        bias = (carried if biases[1] is None else carried + biases[1]).astype(np.float32)
    return (second @ first).astype(np.float32), bias


def _matrix(view: GraphView, found: Layer) -> NDArray[np.floating]:
    """Alpha * weight, of shape (out, in)."""
    values = view.stored_value(found.weight.tensor)
    if values is None:
        raise AssertionError(found.weight.tensor)
    outputs, inputs = found.weight.shape
    values = values.reshape(outputs, inputs) if found.weight.out_first else values.reshape(inputs, outputs).T
    return found.alpha * values.astype(np.float64)


def _bias(view: GraphView, found: Layer) -> NDArray[np.floating] | None:
    """Beta * bias, of shape (out,)."""
    values = None if found.bias is None else view.stored_value(found.bias)
    if values is None:
        return None
    return found.beta * np.broadcast_to(values.astype(np.float64).reshape(-1), found.weight.shape[0])


def _note(view: GraphView, pair: _Pair) -> str:
    (middle, inputs), (outputs, _) = pair.first.weight.shape, pair.second.weight.shape
    ops = " and ".join(view.nodes[each.node].op_type for each in pair)
    saved = middle * inputs + outputs * middle - outputs * inputs
    return f"{ops} {inputs} -> {middle} -> {outputs} can be one layer {inputs} -> {outputs}, {saved:,} weights fewer"


_WEIGHTS = {"w": (6, 5), "v": (5, 4)}
_EXAMPLES = (
    rewritten(
        "two Gemm behind features",
        "(float[N,2,3] x) => (float[N,4] y) { f = Flatten(x) h = Gemm(f, w, b) y = Gemm<transB=1>(h, v, c) }",
        becomes="Flatten, Gemm",
        w=(6, 5),
        b=(5,),
        v=(4, 5),
        c=(4,),
    ),
    rewritten(
        "factors, and one bias",
        "(float[N,6] x) => (float[N,4] y) { h = Gemm<alpha=0.5, beta=2.0>(x, w, b) y = MatMul(h, v) }",
        becomes="Gemm",
        b=(1, 5),
        **_WEIGHTS,
    ),
    rewritten(
        "three axes, both with a bias",
        "(float[N,3,6] x) => (float[N,3,4] y) { p = MatMul(x, w) h = Add(b, p) q = MatMul(h, v) y = Add(q, c) }",
        becomes="Add, MatMul",
        b=(5,),
        c=(4,),
        **_WEIGHTS,
    ),
    rewritten(
        "no bias at all, a weight that is transposed",
        "(float[2,3,6] x) => (float[2,3,4] y) { t = Transpose(w) h = MatMul(x, t) y = MatMul(h, v) }",
        becomes="MatMul",
        w=(5, 6),
        v=(5, 4),
    ),
    unchanged(
        "an activation between them",
        "(float[N,6] x) => (float[N,4] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, v) }",
        **_WEIGHTS,
    ),
    unchanged(
        "the one layer would be larger",
        "(float[N,6] x) => (float[N,7] y) { h = MatMul(x, w) y = MatMul(h, v) }",
        w=(6, 2),
        v=(2, 7),
    ),
    unchanged(
        "the first product is an output",
        "(float[N,6] x) => (float[N,5] h, float[N,4] y) { h = MatMul(x, w) y = MatMul(h, v) }",
        **_WEIGHTS,
    ),
    unchanged(
        "a weight has a second reader",
        "(float[N,6] x, float[N,6] z) => (float[N,4] y, float[N,5] k) { h = MatMul(x, w) y = MatMul(h, v) "
        "k = MatMul(z, w) }",
        **_WEIGHTS,
    ),
    unchanged(
        "half precision",
        "(float16[N,6] x) => (float16[N,4] y) { h = MatMul(x, w) y = MatMul(h, v) }",
        dtype=TensorProto.FLOAT16,
        **_WEIGHTS,
    ),
)
