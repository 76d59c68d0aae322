"""Heads that no exporter writes: each is rewritten, in part or as a whole, and equal under ONNX Runtime and MNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest
from evaluation import LIMITS
from heads import parsed
from rewriting import operators, rewritten

from mnncompat import mnn
from mnncompat.parity import Tolerance, compare_models, verify
from mnncompat.rewrites.fully_connected.fully_connected_to_convolution import FullyConnectedToConvolution
from mnncompat.support.head_form import HeadForm
from mnncompat.support.target import Target

SPATIAL = Target("3.6.1", head=HeadForm.SPATIAL)

if TYPE_CHECKING:
    from pathlib import Path

MNN = Tolerance(rtol=1e-4, atol=1e-5)

# name: (graph, weights, operators of the result)
HEADS: dict[str, tuple[str, dict[str, tuple[int, ...]], str]] = {
    "nested branches": (
        """(float[N,2,2,2] x, bool a, bool b) => (float[N,3] y) {
        f = Flatten(x) r = Relu(f)
        y = If(a) <
            then_branch = outer_then () => (float[N,3] p) {
                p = If(b) <
                    then_branch = inner_then () => (float[N,3] s) { s = MatMul(r, w) },
                    else_branch = inner_else () => (float[N,3] t) { g = Gemm(r, w, c) t = Relu(g) }> },
            else_branch = outer_else () => (float[N,3] q) { m = MatMul(r, w) q = Add(c, m) }> }""",
        {"w": (8, 3), "c": (3,)},
        "Flatten Relu If If Reshape Conv Flatten Reshape Conv Relu Flatten Reshape Conv Flatten",
    ),
    "body of a loop": (
        """(float[N,8] x) => (float[N,8] y) <int64 count = {3}, bool go = {1}> {
        y = Loop(count, go, x) <
            body = step (int64 i, bool c, float[N,8] s) => (bool d, float[N,8] t) {
                d = Identity(c) h = MatMul(s, w) t = Tanh(h) }> }""",
        {"w": (8, 8)},
        "Loop Identity Reshape Conv Tanh Flatten",
    ),
    "input beside itself": (
        "(float[N,4] x) => (float[N,3] y) { c = Concat<axis=1>(x, x) y = MatMul(c, w) }",
        {"w": (8, 3)},
        "Concat Reshape Conv Flatten",
    ),
    "result that is read again": (
        "(float[N,4] x) => (float[N,4] y, float[N,4] z) { y = Gemm(x, w, b) z = Gemm<beta=2.0>(y, w, b) }",
        {"w": (4, 4), "b": (4,)},
        "Reshape Conv Flatten Conv Flatten",
    ),
    "channels last, with a constant and a residual": (
        """(float[N,2,3,4] x) => (float[N,24] y) {
        t = Transpose<perm=[0,2,3,1]>(x) f = Flatten(t) g = MatMul(f, w) s = Add(g, f) n = Mul(s, c)
        m = Relu(f) y = Sub(n, m) }""",
        {"w": (24, 24), "c": (24,)},
        "Transpose Flatten Conv Reshape Add Mul Relu Transpose Flatten Reshape Sub Flatten",
    ),
    "height and width exchanged": (
        "(float[N,3,4,2] x) => (float[N,5] y) { t = Transpose<perm=[0,1,3,2]>(x) f = Flatten(t) y = MatMul(f, w) }",
        {"w": (24, 5)},
        "Conv Flatten",
    ),
    "batch brought to the front": (
        "(float[3,N,4] x) => (float[N,5] y) { t = Transpose<perm=[1,0,2]>(x) f = Flatten(t) y = MatMul(f, w) }",
        {"w": (12, 5)},
        "Transpose Reshape Conv Flatten",
    ),
    "one feature spread over many": (
        "(float[N,6] x) => (float[N,4] y) { v = MatMul(x, w1) a = MatMul(x, w2) y = Add(v, a) }",
        {"w1": (6, 1), "w2": (6, 4)},
        "Reshape Conv Conv Add Flatten",
    ),
    "column times row": (
        "(float[N,6] x) => (float[N,4] y) { v = MatMul(x, w) y = Mul(v, c) }",
        {"w": (6, 1), "c": (1, 4)},
        "Reshape Conv Flatten Mul",
    ),
    "constant for each sample": (
        "(float[4,6] x) => (float[4,4] y) { v = MatMul(x, w) a = Add(v, c) y = PRelu(a, s) }",
        {"w": (6, 4), "c": (4,), "s": (4, 1)},
        "Reshape Conv Flatten PRelu",
    ),
    "bias of higher rank": (
        "(float[N,6] x) => (float[1,N,4] y) { v = MatMul(x, w) y = Add(v, c) }",
        {"w": (6, 4), "c": (1, 1, 4)},
        "Reshape Conv Flatten Add",
    ),
    "rows of a table": (
        "(int64[N] i) => (float[N,4] y) { v = Gather(t, i) y = MatMul(v, w) }",
        {"t": (10, 6), "w": (6, 4)},
        "Gather Reshape Conv Flatten",
    ),
    "no batch": (
        """(float[6] x) => (float[4] y) <int64[1] axes = {0}> {
        u = Unsqueeze(x, axes) v = MatMul(u, w) y = Squeeze(v, axes) }""",
        {"w": (6, 4)},
        "Unsqueeze Reshape Conv Flatten Squeeze",
    ),
    "constant input": (
        "(float[N,4] x) => (float[N,4] y) { v = MatMul(k, w) y = Add(x, v) }",
        {"k": (1, 6), "w": (6, 4)},
        "Reshape Conv Flatten Add",
    ),
    "large plane": (
        "(float[N,3,64,64] x) => (float[N,4] y) { f = Flatten(x) y = MatMul(f, w) }",
        {"w": (12288, 4)},
        "Conv Flatten",
    ),
    "Softmax over the batch": (
        "(float[N,6] x) => (float[N,4] y) { v = MatMul(x, w) y = Softmax<axis=0>(v) }",
        {"w": (6, 4)},
        "Reshape Conv Flatten Softmax",
    ),
    "Concat along the batch": (
        "(float[N,6] x) => (float[M,4] y) { v = MatMul(x, w) u = Tanh(v) y = Concat<axis=0>(v, u) }",
        {"w": (6, 4)},
        "Reshape Conv Flatten Tanh Flatten Concat",
    ),
    "bound that is computed": (
        """(float[N,6] x) => (float[N,4] y) <float low = {0.0}> {
        v = MatMul(x, w) high = ReduceMax<keepdims=0>(v) y = Clip(v, low, high) }""",
        {"w": (6, 4)},
        "Reshape Conv Flatten ReduceMax Clip Flatten",
    ),
    "weight that is data as well": (
        "(float[N,4] x) => (float[N,4] y, float[4,4] z) { y = MatMul(x, w) z = Relu(w) }",
        {"w": (4, 4)},
        "Reshape Conv Flatten Relu",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_unusual_head(name: str, tmp_path: Path) -> None:
    text, weights, expected = HEADS[name]
    model = parsed(text, **weights)
    result = rewritten(FullyConnectedToConvolution(), model, SPATIAL)
    assert " ".join(operators(result)) == expected
    report = compare_models(model, result)
    assert report.passed, report
    onnx.save(result, tmp_path / "model.onnx")
    converted = mnn.convert(
        tmp_path / "model.onnx", tmp_path / "model.mnn", options=mnn.ConvertOptions(), limits=LIMITS
    )
    assert isinstance(converted, mnn.Converted), converted
    report = verify(model, tmp_path / "model.mnn", tolerance=MNN, limits=LIMITS)
    assert report.passed, report
