"""Sizes are followed through the graph, and nodes say how they have to fit together."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.inference.shape_propagation import text
from mnncompat.inference.size_solver import solve
from mnncompat.inference.symbolic_shapes import SymbolicShapes, symbolic_shapes


def follow(graph: str, opset: int = 17) -> SymbolicShapes:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\ng {graph}')
    return symbolic_shapes(view_model(from_proto(model)).main, infer=False)


def requirements(found: SymbolicShapes) -> list[str]:
    return [f"{each.left} {each.kind} {each.right}" for each in found.requirements]


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        ("(float[N,3] x) => (float[A,B] y) { y = Transpose(x) }", "[3, N]"),
        ("(float[N,P,4] x, float[N,Q,4] z) => (float[A,B,C] y) { y = Concat<axis=1>(x, z) }", "[N, P + Q, 4]"),
        ("(float[N,3,H,W] x) => (float[A,B] y) { y = Flatten(x) }", "[N, (3 * H) * W]"),
        (
            "(float[N,3,H,W] x, float[8,3,3,3] w) => (float[A,B,C,D] y) { y = Conv<strides=[2,2],pads=[1,1,1,1]>(x,w)}",
            "[N, 8, (H - 1) // 2 + 1, (W - 1) // 2 + 1]",
        ),
        ("(float[N,T,4] x) => (float[A,B,C] y) <int64[3] s = {0, -1, 2}> { y = Reshape(x, s) }", "[N, 2 * T, 2]"),
        (
            """(float[N,12,150] x) => (float[A,B,C] y) <int64[2] s = {-1, 150}, int64[3] t = {-1, 12, 150}> {
            flat = Reshape(x, s) y = Reshape(flat, t) }""",
            "[N, 12, 150]",
        ),
        (
            """(float[N,12,5] x) => (float[A,B,C] y) <int64[2] s = {-1, 5}, int64[3] t = {-1, 3, 20}> {
            flat = Reshape(x, s) y = Reshape(flat, t) }""",
            "[N, 3, 20]",
        ),
        (
            """(float[N,T] x) => (float[A,B] y) <int64[2] a = {0, 1}, int64[2] b = {1000000000, 65536}> {
            y = Slice(x, a, b) }""",
            "[N, T - 1]",
        ),
        (
            """(float[N,T,9] x) => (float[A,B,C] y)
            <int64[3] a = {-9223372036854775808, -9223372036854775808, -100}, int64[3] b = {-1, -2, -20}> {
            y = Slice(x, a, b) }""",
            "[N - 1, T - 2, 0]",
        ),
        (
            """(float[N,6,7,8] x) => (float[A,B,C,D] y)
            <int64[1] a = {-9223372036854775808}, int64[1] b = {-2}, int64[1] last = {-1}, int64[1] one = {1}> {
            s = Shape(x) h = Slice(s, a, b) t = Concat<axis=0>(h, last, one) y = Reshape(x, t) }""",
            "[N, 6, 56, 1]",
        ),
        (
            """(float[N,T] x, float[400] w) => (float[A,B,C,D] y) <int64 step = {160}> { y = STFT(x, step, w) }""",
            "[N, (T - 400) // 160 + 1, 201, 2]",
        ),
        (
            """(float[N,T,1] x) => (float[A,B,C,D] y) <int64 step = {4}, int64 n = {16}> {
            y = STFT<onesided=0>(x, step, , n) }""",
            "[N, (T - 16) // 4 + 1, 16, 2]",
        ),
        ("(float[N,T,1] x) => (float[A,B,C] y) { y = DFT<axis=1,onesided=1>(x) }", "[N, T // 2 + 1, 2]"),
        ("(float[N,8,1] x) => (float[A,B,C] y) <int64 n = {12}> { y = DFT(x, n) }", "[N, 12, 2]"),
        (
            """(float[N,T] x) => (int64[A] y) <int64 i = {1}, int64 zero = {0}, int64 one = {1}> {
            s = Shape(x) t = Gather(s, i) y = Range(zero, t, one) }""",
            "[T]",
        ),
        (
            """(float[N,T,8] x) => (float[A,B] y) <int64 i = {0}, int64[1] ax = {0}, int64[1] rest = {-1}> {
            s = Shape(x) n = Gather(s, i) u = Unsqueeze(n, ax) t = Concat<axis=0>(u, rest) y = Reshape(x, t) }""",
            "[N, 8 * T]",
        ),
        ("(float[N,T] x) => (float[A,B] y) <int64[2] p = {2, 3}> { y = Tile(x, p) }", "[2 * N, 3 * T]"),
        (
            """(float[N,T] x) => (float[A,B] y) <int64[1] a = {1}, int64[1] b = {-1}, int64[1] c = {1}> {
            y = Slice(x, a, b, c) }""",
            "[N, T - 2]",
        ),
        (
            "(float[1,3,H,W] x) => (float[A,B,C,D] y) <float[4] s = {1.0, 1.0, 2.0, 0.5}> { y = Resize(x, , s) }",
            "[1, 3, 2 * H, W // 2]",
        ),
    ],
)
def test_sizes_are_followed(graph: str, wanted: str) -> None:
    assert text(follow(graph).shapes["y"]) == wanted


@pytest.mark.parametrize(
    ("graph", "wanted"),
    [
        ("(float[N,T] x, float[N,S] z) => (float[A,B] y) { y = Add(x, z) }", ["S broadcast T"]),
        ("(float[N,T] x, float[S,4] z) => (float[A,B] y) { y = MatMul(x, z) }", ["T equal S"]),
        ("(float[1,L] x) => (float[A,B] y) <int64[2] s = {13, 17}> { y = Reshape(x, s) }", ["L equal 221"]),
        (
            "(float[N,T] x) => (float[A,B,C] y) <int64[3] s = {0, 4, -1}> { y = Reshape(x, s) }",
            ["T multiple 4"],
        ),
        (
            """(float[1,T,8] x, float[512,8] p) => (float[A,B,C] y)
            <int64 i = {1}, int64[1] z = {0}, int64[1] ax = {0}> { s = Shape(x) t = Gather(s, i) e = Unsqueeze(t, ax)
            part = Slice(p, z, e) y = Add(x, part) }""",
            ["T at-most 512"],
        ),
        ("(float[1,L] x) => (float[A,B] a, float[C,D] b) { a, b = Split<axis=1>(x) }", ["L multiple 2"]),
    ],
)
def test_nodes_require(graph: str, wanted: list[str]) -> None:
    assert requirements(follow(graph, opset=13)) == wanted


def test_a_cache_grows_by_what_is_new() -> None:
    found = follow(
        """(float[B,P,4] past, float[B,N,4] new, float[B,N,T] mask) => (float[A,C,D] y) {
        all = Concat<axis=1>(past, new) k = Transpose<perm=[0,2,1]>(all) s = MatMul(new, k) y = Add(s, mask) }"""
    )
    assert requirements(found) == ["T broadcast N + P"]
    sizes = next(solve({"B": (1, 2), "P": (8, 0), "N": (3,), "T": (16,)}, found.requirements, {}))
    assert sizes == {"B": 1, "P": 8, "N": 3, "T": 11}
    empty = next(solve({"B": (1, 2), "N": (3,), "T": (16,)}, found.requirements, {"P": 0}))
    assert empty["T"] == empty["N"]


def test_a_branch_requires_what_it_requires_when_it_runs() -> None:
    found = follow(
        """(bool c, float[1,L] x) => (float[A,B] y) {
        y = If(c) <then_branch = one () => (float[A,B] a) <int64[2] s = {3, 5}> { a = Reshape(x, s) },
        else_branch = two () => (float[A,B] b) <int64[2] s = {7, 2}> { b = Reshape(x, s) }> }"""
    )
    assert sorted(each.right.number or 0 for each in found.requirements) == [14, 15]
    sizes = [each["L"] for each in solve({"L": (16,)}, found.requirements, {})]
    assert {14, 15} <= set(sizes)


@pytest.mark.parametrize("dim", ["?", "-1", ""])
def test_dimensions_without_a_name_are_told_apart(dim: str) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, dim or None, dim or None])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    found = symbolic_shapes(view_model(from_proto(onnx.helper.make_model(graph))).main, infer=False)
    assert text(found.shapes["y"]) == "[1, 3, x[2], x[3]]"
