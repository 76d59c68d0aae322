"""Models that the rewrite must not change: each breaks one precondition."""

from __future__ import annotations

from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, unchanged

_EACH = (
    refused(
        "weight is an input",
        "weight not constant: 'w' is an input of the graph",
        "(float[N,6] x, float[6,5] w) => (float[N,5] y) { y = MatMul(x, w) }",
    ),
    refused(
        "weight is computed",
        "weight not constant: 't' is computed by Tanh",
        "(float[N,6] x) => (float[N,5] y) { t = Tanh(w) y = Gemm(x, t, b) }",
        w=(6, 5),
        b=(5,),
    ),
    refused("transA", "transA", "(float[6,N] x) => (float[N,5] y) { y = Gemm<transA=1>(x, w, b) }", w=(6, 5), b=(5,)),
    refused(
        "dynamic feature size",
        "feature size not static: 'x' is [N, 2, H, 3]",
        "(float[N,2,H,3] x) => (float[N,5] y) { f = Flatten(x) y = Gemm(f, w, b) }",
        w=(18, 5),
        b=(5,),
    ),
    refused(
        "time steps as rows",
        "batch mixed into features: rows have 6 features, but one sample of 'x' has 24",
        """(float[B,4,6] x) => (float[M,5] y) <int64[2] rows = {-1, 6}> {
        f = Reshape(x, rows) y = Gemm<transB=1>(f, w, b) }""",
        w=(5, 6),
        b=(5,),
    ),
    refused(
        "time steps as rows, by a computed target",
        "batch mixed into features",
        """(float[B,4,6] x) => (float[M,5] y) <int64 last = {2}, int64[1] axes = {0}, int64[1] rest = {-1}> {
        shape = Shape(x) size = Gather<axis=0>(shape, last) width = Unsqueeze(size, axes)
        target = Concat<axis=0>(rest, width) f = Reshape(x, target) y = Gemm<transB=1>(f, w, b) }""",
        w=(5, 6),
        b=(5,),
    ),
    refused(
        "Flatten that takes the batch in",
        "batch mixed into features: rows have 36 features, but one sample of 'x' has 18",
        "(float[2,2,3,3] x) => (float[1,5] y) { f = Flatten<axis=0>(x) y = Gemm(f, w, b) }",
        w=(36, 5),
        b=(5,),
    ),
    refused(
        "Flatten that takes the channels as rows",
        "batch mixed into features: rows have 9 features, but one sample of 'x' has 18",
        "(float[N,2,3,3] x) => (float[M,5] y) { f = Flatten<axis=2>(x) y = Gemm(f, w, b) }",
        w=(9, 5),
        b=(5,),
    ),
    refused(
        "C for each sample",
        "C varies along the batch: 'c' has shape [3, 5]",
        "(float[3,6] x) => (float[3,5] y) { y = Gemm(x, w, c) }",
        w=(6, 5),
        c=(3, 5),
    ),
    refused(
        "C as a column",
        "C varies along the batch: 'c' has shape [3, 1]",
        "(float[3,6] x) => (float[3,5] y) { y = Gemm(x, w, c) }",
        w=(6, 5),
        c=(3, 1),
    ),
    refused(
        "constant on the left",
        "the constant is on the left",
        "(float[6,N] x) => (float[5,N] y) { y = MatMul(w, x) }",
        w=(5, 6),
    ),
    refused(
        "rows within samples",
        "'x' has rank 3: it is not a batch of feature vectors",
        "(float[N,4,6] x) => (float[N,4,5] y) { y = MatMul(x, w) }",
        w=(6, 5),
    ),
    refused(
        "double",
        "weight 'w' is double, not float32 or float16",
        "(double[N,6] x) => (double[N,5] y) { y = MatMul(x, w) }",
        dtype=TensorProto.DOUBLE,
        w=(6, 5),
    ),
    refused(
        "integers",
        "weight 'w' is int32, not float32 or float16",
        "(int32[N,6] x) => (int32[N,5] y) { y = MatMul(x, w) }",
        dtype=TensorProto.INT32,
        w=(6, 5),
    ),
    refused(
        "broadcast by attributes",
        "opset 6 is older than 7",
        "(float[N,6] x) => (float[N,5] y) { y = Gemm<broadcast=1>(x, w, b) }",
        opset=6,
        w=(6, 5),
        b=(5,),
    ),
    unchanged(
        "no layer at all",
        "(float[N,2,3,3] x) => (float[N,18] y) { f = Flatten(x) y = Relu(f) }",
    ),
)

LOOK_ALIKES: tuple[Example, ...] = tuple(each._replace(mnn="0.2.0.4") for each in _EACH)
"""On a release that needs convolutions: elsewhere there is nothing to say about them."""
