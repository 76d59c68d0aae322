"""What the graph says about the values of its inputs."""

from __future__ import annotations

from math import inf

import onnx
import pytest
from onnx import parser

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import Domain, input_domains
from mnncompat.inference.model_view import view_model
from mnncompat.inference.symbolic_shapes import symbolic_shapes


def domains(graph: str, **sizes: int) -> dict[str, Domain]:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\ng {graph}')
    view = view_model(from_proto(model)).main
    return input_domains(view, symbolic_shapes(view, infer=False).shapes, sizes)


TABLE = "float[40,8] t"


@pytest.mark.parametrize(
    ("graph", "kind", "low", "high"),
    [
        (f"(int64[2,5] x, {TABLE}) => (float[A,B,C] y) {{ y = Gather(t, x) }}", Kind.IDS, 0, 39),
        (f"(int64[2,5] x, {TABLE}) => (float[A,B,C] y) {{ y = Gather<axis=1>(t, x) }}", Kind.IDS, 0, 7),
        (f"(float[2,5] x, {TABLE}) => (float[A,B,C] y) {{ i = Cast<to=7>(x) y = Gather(t, i) }}", Kind.IDS, 0, 39),
        (
            f"(int64[2,5] x, {TABLE}) => (float[A,B,C] y) <int64 k = {{3}}> {{ i = Add(x, k) y = Gather(t, i) }}",
            Kind.IDS,
            0,
            36,
        ),
        (
            f"(int64[2,2] x, {TABLE}) => (float[A,B,C] y) <int64[2] k = {{0,30}}> {{ i = Add(x,k) y = Gather(t,i) }}",
            Kind.IDS,
            0,
            9,
        ),
        (
            f"(int64[2,5] x, {TABLE}) => (float[A,B] y) <int64[1] s = {{-1}}> {{ i = Reshape(x, s) y = Gather(t, i) }}",
            Kind.IDS,
            0,
            39,
        ),
        (
            "(int64[2] x) => (float[2,6] y) <int64 d = {6}, float[2] v = {0.0, 1.0}> { y = OneHot(x, d, v) }",
            Kind.IDS,
            0,
            5,
        ),
        (
            "(int64[1,3] x, float[1,9] d) => (float[1,3] y) { y = GatherElements<axis=1>(d, x) }",
            Kind.IDS,
            0,
            8,
        ),
        (
            """(int64[1,8] x, float[1,8] s) => (float[1,8] y) <float one = {1.0}, float low = {-10000.0}> {
            f = Cast<to=1>(x) i = Sub(one, f) b = Mul(i, low) t = Add(s, b) y = Softmax(t) }""",
            Kind.MASK,
            0,
            1,
        ),
        (
            """(float[1,8] x, float[1,8] s) => (float[1,8] y) <float one = {1.0}, float big = {1e9}> {
            i = Sub(x, one) b = Mul(i, big) t = Add(s, b) y = Softmax(t) }""",
            Kind.MASK,
            0,
            1,
        ),
        ("(int64[3] x, float[3] a) => (float[3] y) { c = Cast<to=9>(x) y = Where(c, a, a) }", Kind.MASK, 0, 1),
        ("(bool[3] x) => (bool[3] y) { y = Not(x) }", Kind.MASK, 0, 1),
        (
            "(int64[3] x, float[3] a) => (float[3] y) <int64 z = {0}> { c = Equal(x, z) y = Where(c, a, a) }",
            Kind.MASK,
            0,
            1,
        ),
        (
            """(int64[2,1] x) => (bool[2,7] y) <int64 z = {0}, int64 n = {7}, int64 one = {1}> {
            r = Range(z, n, one) y = Less(r, x) }""",
            Kind.LENGTH,
            1,
            7,
        ),
        (
            "(int32[2] x, float[9,2,4] s) => (float[9,2,4] y) { y = ReverseSequence<time_axis=0, batch_axis=1>(s, x) }",
            Kind.LENGTH,
            1,
            9,
        ),
        ("(float[1,3,8,8] x) => (float[1,3,8,8] y) <float k = {255.0}> { y = Div(x, k) }", Kind.PIXELS, 0, 255),
        ("(float[1,3,8,8] x) => (float[1,3,8,8] y) <float k = {0.003921569}> { y = Mul(x, k) }", Kind.PIXELS, 0, 255),
        (
            """(float[1,3,8,8] x) => (float[1,3,8,8] y) <float[3,1,1] m = {123.7, 116.3, 103.5},
            float[3,1,1] s = {58.4, 57.1, 57.4}> { c = Sub(x, m) y = Div(c, s) }""",
            Kind.PIXELS,
            0,
            255,
        ),
        ("(float[4] x) => (float[4] y) { y = Sqrt(x) }", Kind.BOUNDED, 1e-3, inf),
        ("(float[4] x) => (float[4] y) { y = Acos(x) }", Kind.BOUNDED, -1, 1),
        ("(float[4] x) => (float[4] y) <float a = {0.0}, float b = {6.0}> { y = Clip(x, a, b) }", Kind.BOUNDED, 0, 6),
        ("(float[4] x) => (float[4] y) { y = Tanh(x) }", Kind.NUMBERS, -inf, inf),
        ("(int64[4] x) => (int64[4] y) { y = Neg(x) }", Kind.INTEGERS, 0, 9),
        ("(uint8[4] x) => (float[4] y) { y = Cast<to=1>(x) }", Kind.INTEGERS, 0, 255),
    ],
)
def test_domains(graph: str, kind: Kind, low: float, high: float) -> None:
    found = domains(graph)["x"]
    assert found.kind is kind
    assert [found.low, found.high] == pytest.approx([low, high])
    assert found.reasons or kind in (Kind.NUMBERS, Kind.INTEGERS)


def test_each_input_has_its_own_table() -> None:
    found = domains(
        """(int64[1,6] words, int64[1,6] kinds, float[500,4] w, float[4,4] k) => (float[1,6,4] y) {
        a = Gather(w, words) b = Gather(k, kinds) y = Add(a, b) }"""
    )
    assert (found["words"].high, found["kinds"].high) == (499, 3)
    assert found["words"].reasons == ("Gather of w [500, 4]",)


def test_the_narrowest_table_counts() -> None:
    found = domains(
        "(int64[3] x, float[50,4] w, float[7,4] k) => (float[3,4] y) { a = Gather(w, x) b = Gather(k, x) y = Add(a,b) }"
    )
    assert found["x"].high == 6


def test_values_that_are_compared_matter() -> None:
    found = domains("(int64 x, float[3] a) => (float[3] y) <int64 r = {16000}> { c = Equal(x, r) y = Where(c, a, a) }")
    assert found["x"].values == (16000,)


def test_a_loop_counts_from_zero() -> None:
    found = domains(
        """(int64 x, float[2] a) => (float[2] y) <bool c = {1}> {
        y = Loop(x, c, a) <body = b (int64 i, bool k, float[2] v) => (bool k2, float[2] w) {
        k2 = Identity(k) w = Relu(v) }> }"""
    )
    assert (found["x"].kind, found["x"].low) == (Kind.COUNT, 0)


def test_what_a_branch_captures_is_followed() -> None:
    found = domains(
        """(bool c, int64[2] x, float[9,3] t, float[2,3] z) => (float[2,3] y) {
        y = If(c) <then_branch = one () => (float[2,3] a) { a = Gather(t, x) },
        else_branch = two () => (float[2,3] b) { b = Identity(z) }> }"""
    )
    assert (found["x"].kind, found["x"].high) == (Kind.IDS, 8)
    assert found["c"].kind is Kind.MASK


def test_a_table_as_long_as_a_sequence() -> None:
    graph = "(float[T,4] x, int64[5] i) => (float[5,4] y) { y = Gather(x, i) }"
    assert domains(graph, T=11)["i"].high == 10
