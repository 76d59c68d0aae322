"""Models that the rewrite must change: sources of features, forms of layers, and operators between them."""

from __future__ import annotations

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged

_SOURCES = (
    rewritten(
        "mean over a map of 4x4",
        """(float[N,3,4,4] x) => (float[N,5] y) {
        f = ReduceMean<axes=[2, 3], keepdims=0>(x) y = Gemm<transB=1>(f, w, b) }""",
        becomes="Conv, Flatten, GlobalAveragePool",
        w=(5, 3),
        b=(5,),
    ),
    rewritten(
        "tutorial head, exported by TorchScript",
        """(float[N,2,4,4] x) => (float[N,5] y) <int64 zero = {0}, int64[1] rest = {-1}> {
        shape = Shape(x) batch = Gather<axis=0>(shape, zero) first = Unsqueeze<axes=[0]>(batch)
        target = Concat<axis=0>(first, rest) f = Reshape(x, target)
        h = MatMul(f, w1) n = BatchNormalization(h, scale, shift, mean, variance) r = Relu(n)
        y = Gemm<transB=1>(r, w2, b2) }""",
        becomes="BatchNormalization, 2 Conv, Flatten, Relu",
        opset=11,
        w1=(32, 7),
        scale=(7,),
        shift=(7,),
        mean=(7,),
        variance=(7,),
        w2=(5, 7),
        b2=(5,),
    ),
    rewritten(
        "target from the shape of the graph's input",
        """(float[N,2,3,3] x) => (float[N,5] y) <int64[1] zero = {0}, int64[1] one = {1}, int64[1] rest = {-1}> {
        shape = Shape(x) batch = Slice(shape, zero, one) target = Concat<axis=0>(batch, rest)
        r = Relu(x) f = Reshape(r, target) y = MatMul(f, w) }""",
        becomes="Conv, Flatten, Relu",
        w=(18, 5),
    ),
    rewritten(
        "target from Shape with start and end",
        """(float[N,2,3,3] x) => (float[N,5] y) <int64[1] width = {18}> {
        batch = Shape<start=0, end=1>(x) target = Concat<axis=0>(batch, width)
        f = Reshape<allowzero=1>(x, target) y = Gemm<transB=1>(f, w, b) }""",
        becomes="Conv, Flatten",
        opset=18,
        w=(5, 18),
        b=(5,),
    ),
    rewritten(
        "fixed batch in a Constant",
        """(float[2,2,3,3] x) => (float[2,5] y) {
        target = Constant<value = int64[2] {2, -1}>() f = Reshape(x, target) y = Gemm(f, w, b) }""",
        becomes="Conv, Flatten",
        w=(18, 5),
        b=(1, 5),
    ),
    rewritten(
        "Flatten with a negative axis",
        "(float[N,2,3,3] x) => (float[N,5] y) { f = Flatten<axis=-3>(x) y = Gemm<transB=1>(f, w, b) }",
        becomes="Conv, Flatten",
        w=(5, 18),
        b=(5,),
    ),
    rewritten(
        "Squeeze after global pooling",
        """(float[N,6,3,3] x) => (float[N,5] y) <int64[2] axes = {2, 3}> {
        p = GlobalAveragePool(x) f = Squeeze(p, axes) y = Gemm<transB=1>(f, w, b) }""",
        becomes="Conv, Flatten, GlobalAveragePool",
        w=(5, 6),
        b=(5,),
    ),
    rewritten(
        "ReduceMean and ReduceMax side by side",
        """(float[N,3,4,4] x) => (float[N,5] y) {
        a = ReduceMean<axes=[2,3], keepdims=0>(x) m = ReduceMax<axes=[2,3], keepdims=0>(x)
        f = Concat<axis=1>(a, m) y = Gemm<transB=1>(f, w, b) }""",
        becomes="Concat, Conv, Flatten, GlobalAveragePool, GlobalMaxPool",
        w=(5, 6),
        b=(5,),
    ),
    rewritten(
        "NHWC transpose before the reshape",
        """(float[N,2,3,4] x) => (float[N,5] y) <int64[2] target = {-1, 24}> {
        t = Transpose<perm=[0,2,3,1]>(x) f = Reshape(t, target) h = MatMul(f, w) y = Add(h, b) }""",
        becomes="Conv, Flatten",
        w=(24, 5),
        b=(5,),
    ),
    rewritten(
        "features as input",
        "(float[N,6] x) => (float[N,5] y) { h = MatMul(x, w) y = Add(b, h) }",
        becomes="Conv, Flatten, Reshape",
        w=(6, 5),
        b=(1, 5),
    ),
    rewritten(
        "sequence of three dimensions",
        "(float[N,3,4] x) => (float[N,5] y) { f = Flatten(x) y = Gemm<transB=1>(f, w, b) }",
        becomes="Conv, Flatten, Reshape",
        w=(5, 12),
        b=(5,),
    ),
    rewritten(
        "chain of reshapes with an Identity in between",
        """(float[N,2,3,3] x) => (float[N,5] y) <int64[3] merged = {0, 2, 9}, int64[2] flat = {0, -1}> {
        a = Reshape(x, merged) i = Identity(a) f = Reshape(i, flat) y = Gemm<transB=1>(f, w, b) }""",
        becomes="Conv, Flatten",
        w=(5, 18),
        b=(5,),
    ),
)

_LAYERS = (
    rewritten(
        "alpha, beta and a scalar C",
        """(float[N,6] x) => (float[N,5] y) <float c = {0.5}> {
        y = Gemm<alpha=0.5, beta=-2.0>(x, w, c) }""",
        becomes="Conv, Flatten, Reshape",
        w=(6, 5),
    ),
    rewritten(
        "no C",
        "(float[N,6] x) => (float[N,5] y) { y = Gemm<transB=1>(x, w) }",
        becomes="Conv, Flatten, Reshape",
        w=(5, 6),
    ),
    rewritten(
        "transposed weight of a bias-free Linear",
        "(float[N,6] x) => (float[N,5] y) { t = Transpose<perm=[1,0]>(w) i = Identity(t) y = MatMul(x, i) }",
        becomes="Conv, Flatten, Reshape",
        w=(5, 6),
    ),
    rewritten(
        "weight stored as a tensor of four dimensions",
        """(float[N,2,2,2] x) => (float[N,5] y) <int64[2] flat = {8, 5}, int64[2] rows = {-1, 8}> {
        m = Reshape(w, flat) f = Reshape(x, rows) h = MatMul(f, m) y = Add(h, b) }""",
        becomes="Conv, Flatten",
        w=(2, 2, 2, 5),
        b=(1, 5),
    ),
    rewritten(
        "one weight in two layers",
        "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, w) }",
        becomes="2 Conv, Flatten, Relu, Reshape",
        w=(4, 4),
    ),
    rewritten(
        "float16",
        "(float16[N,2,2,2] x) => (float16[N,5] y) { f = Flatten(x) y = Gemm<transB=1>(f, w, b) }",
        becomes="Conv, Flatten",
        dtype=TensorProto.FLOAT16,
        w=(5, 8),
        b=(5,),
    ),
    rewritten(
        "in a branch, with captured value and weight",
        """(float[N,2,2,2] x, bool flag) => (float[N,5] y) {
        f = Flatten(x)
        y = If(flag) <
            then_branch = then_graph () => (float[N,5] p) { a = MatMul(f, w) p = Relu(a) },
            else_branch = else_graph () => (float[N,5] q) { q = Gemm(f, w, b) }> }""",
        becomes="Flatten, If{Conv, Flatten, Relu, Reshape | Conv, Flatten, Reshape}",
        w=(8, 5),
        b=(5,),
    ),
    rewritten(
        "value captured by a branch",
        """(float[N,6] x, bool flag) => (float[N,5] y) {
        h = Gemm(x, w, b)
        y = If(flag) <
            then_branch = then_graph () => (float[N,5] p) { p = Relu(h) },
            else_branch = else_graph () => (float[N,5] q) { q = Identity(h) }> }""",
        becomes="Conv, Flatten, If{Relu | Identity}, Reshape",
        w=(6, 5),
        b=(5,),
    ),
)

_BETWEEN = (
    rewritten(
        "normalisation between flatten and layer",
        """(float[N,2,2,2] x) => (float[N,5] y) {
        f = Flatten(x) n = BatchNormalization(f, scale, shift, mean, variance) y = MatMul(n, w) }""",
        becomes="BatchNormalization, Conv, Flatten, Reshape",
        scale=(8,),
        shift=(8,),
        mean=(8,),
        variance=(8,),
        w=(8, 5),
    ),
    rewritten(
        "slope and factor of each feature",
        """(float[N,6] x) => (float[N,5] y) {
        a = Gemm<transB=1>(x, w1, b1) p = PRelu(a, slope) m = Mul(variance, p) s = Sub(m, shift)
        y = Gemm<transB=1>(s, w2, b2) }""",
        becomes="2 Conv, Flatten, Mul, PRelu, Reshape, Sub",
        w1=(4, 6),
        b1=(4,),
        slope=(4,),
        variance=(1, 4),
        shift=(4,),
        w2=(5, 4),
        b2=(5,),
    ),
    rewritten(
        "residual branches and Concat",
        """(float[N,4] x) => (float[N,5] y) {
        a = Gemm(x, w1, b1) r = Relu(a) b = Add(x, r) g = Sigmoid(b) s = Mul(b, g)
        c = Concat<axis=-1>(s, a) y = Gemm(c, w2, b2) }""",
        becomes="Add, Concat, 2 Conv, Flatten, Mul, Relu, Reshape, Sigmoid",
        w1=(4, 4),
        b1=(4,),
        w2=(8, 5),
        b2=(5,),
    ),
    rewritten(
        "Softmax with the default axis of opset 11",
        "(float[N,6] x) => (float[N,5] y) { a = Gemm(x, w, b) y = Softmax(a) }",
        becomes="Conv, Flatten, Reshape, Softmax",
        opset=11,
        w=(6, 5),
        b=(5,),
    ),
    rewritten(
        "class and scores of two heads",
        """(float[N,2,3,3] x) => (int64[N] label, float[N,1] value, float[N,5] scores) {
        f = Flatten(x) a = Gemm<transB=1>(f, w1, b1) label = ArgMax<axis=1, keepdims=0>(a)
        scores = LogSoftmax<axis=-1>(a) c = Gemm<transB=1>(f, w2, b2) value = Tanh(c) }""",
        becomes="ArgMax, 2 Conv, 2 Flatten, LogSoftmax, Reshape, Tanh",
        w1=(5, 18),
        b1=(5,),
        w2=(1, 18),
        b2=(1,),
    ),
    rewritten(
        "operator in between that needs two dimensions",
        """(float[N,6] x) => (float[N,5] y) {
        a = Gemm(x, w1, b1) n = LayerNormalization(a, scale, shift) y = Gemm(n, w2, b2) }""",
        becomes="2 Conv, 2 Flatten, LayerNormalization, 2 Reshape",
        opset=17,
        w1=(6, 4),
        b1=(4,),
        scale=(4,),
        shift=(4,),
        w2=(4, 5),
        b2=(5,),
    ),
)

_WITHOUT_MATMUL = "0.2.0.4"
"""A release that needs convolutions, in their spatial form."""

_FLAT = (
    rewritten(
        "tutorial head, flat",
        """(float[N,2,4,4] x) => (float[N,5] y) {
        f = Flatten(x) h = MatMul(f, w1) n = BatchNormalization(h, scale, shift, mean, variance) r = Relu(n)
        y = Gemm<transB=1>(r, w2, b2) }""",
        becomes="BatchNormalization, 2 Conv, Flatten, Relu, Reshape",
        w1=(32, 7),
        scale=(7,),
        shift=(7,),
        mean=(7,),
        variance=(7,),
        w2=(5, 7),
        b2=(5,),
    ),
    rewritten(
        "flattened after a transpose, flat",
        """(float[N,2,3,4] x) => (float[N,7] y) {
        t = Transpose<perm=[0,2,3,1]>(x) f = Flatten(t) h = Gemm(f, w1, b1)
        y = BatchNormalization(h, scale, shift, mean, variance) }""",
        becomes="BatchNormalization, Conv, Flatten, Reshape, Transpose",
        w1=(24, 7),
        b1=(7,),
        scale=(7,),
        shift=(7,),
        mean=(7,),
        variance=(7,),
    ),
    unchanged(
        "a layer alone, which MNN runs as a convolution",
        "(float[N,2,3,3] x) => (float[N,5] y) { f = Flatten(x) h = MatMul(f, w) r = Relu(h) y = Softmax(r) }",
        w=(18, 5),
    ),
)

_SPATIAL = tuple(each._replace(mnn=_WITHOUT_MATMUL) for each in (*_SOURCES, *_LAYERS, *_BETWEEN))

EXAMPLES: tuple[Example, ...] = (*_SPATIAL, *_FLAT)
