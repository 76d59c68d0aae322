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
PROBABLE = (Kind.PROBABILITY, 0, 1)
STATES = (Kind.STATE, -inf, inf)
NUMBERS = (Kind.NUMBERS, -inf, inf)


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
            f"(int64[2,5] x, {TABLE}) => (float[A,B,C] y) <int64 k = {{40}}> {{ i = Mod(x, k) y = Gather(t, i) }}",
            Kind.IDS,
            0,
            79,
        ),
        (
            (
                f"(float[2] x, {TABLE}) => (float[A,B] y) <float k = {{39.0}}> "
                "{ p = Mul(x, k) i = Cast<to=7>(p) y = Gather(t, i) }"
            ),
            Kind.IDS,
            0,
            1,
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
        (
            """(int64[2,5] x, float[40,8] t) => (float[A,B,C] y) <int64 a = {0}, int64 b = {30}> {
            i = Clip(x, a, b) y = Gather(t, i) }""",
            Kind.IDS,
            0,
            30,
        ),
        (
            "(int64[2,5] x, float[40,8] t) => (float[A,B,C] y) <int64 b = {90}> { i = Min(x, b) y = Gather(t, i) }",
            Kind.IDS,
            0,
            39,
        ),
        (
            """(int32[1,9] x) => (bool[1,9,7] y) <int32[7] k = {0,1,2,3,4,5,6}, int64[1] ax = {2}> {
            u = Unsqueeze(x, ax) y = Equal(u, k) }""",
            Kind.IDS,
            0,
            6,
        ),
        ("(int64[4] x) => (float[4] y) { f = Cast<to=1>(x) y = Log(f) }", Kind.INTEGERS, 1, 9),
        (
            "(int64[1,3,8,8] x) => (float[1,3,8,8] y) <float k = {255.0}> { f = Cast<to=1>(x) y = Div(f, k) }",
            Kind.PIXELS,
            0,
            255,
        ),
        (
            "(int64[2] x) => (float[2] y) <float k = {0.1}> { f = Cast<to=1>(x) m = Mul(f, k) y = Sin(m) }",
            Kind.TIMESTEP,
            0,
            999,
        ),
        ("(float[4] x) => (float[4] y) <float e = {1e-7}> { a = Add(x, e) y = Log(a) }", Kind.PROBABILITY, 0, 1),
        (
            """(float[4] x) => (float[4] y) <float e = {1e-7}, float one = {1}> {
            q = Sub(one, x) a = Add(q, e) y = Log(a) }""",
            Kind.PROBABILITY,
            0,
            1,
        ),
        (
            "(float[4] x) => (float[4] y) <float one = {1}> { q = Sub(one, x) a = Log(x) b = Log(q) y = Add(a, b) }",
            Kind.PROBABILITY,
            1e-3,
            0.999,
        ),
        ("(float[4] x, float[4] z) => (float[4] y) <float one = {1}> { q = Sub(one, x) y = Mul(q, z) }", *PROBABLE),
        ("(float[4] x) => (bool[4] y) <float k = {0.3}> { y = Greater(x, k) }", *PROBABLE),
        ("(float[4] x) => (bool[4] y) <float k = {0.5}> { y = Greater(x, k) }", *PROBABLE),
        ("(float[4] x) => (bool[4] y) { r = RandomUniform<shape=[4]>() y = Less(r, x) }", *PROBABLE),
        ("(float[4] x) => (float[4] y) { y = Bernoulli(x) }", *PROBABLE),
        ("(float[4] x) => (float[4] y) <float e = {1e-5}> { c = Max(x, e) y = Log(c) }", *NUMBERS),
        (
            "(float[4] x) => (float[4] y) <float a={1e-7}, float b={0.9999999}> { c = Clip(x, a, b) y = Log(c) }",
            *PROBABLE,
        ),
        (
            """(float[4] x) => (float[4] y) <float z = {0}, float a = {0.1}> {
            c = Greater(x, z) m = Mul(x, a) y = Where(c, x, m) }""",
            Kind.NUMBERS,
            -inf,
            inf,
        ),
        (
            "(float[4] x, float[4] z) => (float[4] y) <float k = {0}> { c = Greater(x, k) y = Where(c, z, z) }",
            Kind.MASK,
            0,
            1,
        ),
        (
            """(float[1,1,4] x, float[3,1,5] s, float[1,16,5] w, float[1,16,4] r) => (float[A,B,C,D] y) {
            y = LSTM<hidden_size=4>(s, w, r, , , x, x) }""",
            *STATES,
        ),
        (
            """(float[2,1,4] x, float[3,1,5] s, float[1,12,5] w, float[1,12,4] r) => (float[A,B,C,D] y)
            <int64[1] a = {0}, int64[1] b = {1}> { h = Slice(x, a, b) y = GRU<hidden_size=4>(s, w, r, , , h) }""",
            *STATES,
        ),
        (
            """(float[1,2,P,4] x, float[1,2,1,4] new) => (float[1,2,T,4] present, float[1,2,4,T] y) {
            present = Concat<axis=2>(x, new) y = Transpose<perm=[0,1,3,2]>(present) }""",
            *STATES,
        ),
        (
            """(float[1,2,4] x, float[1,2,9] new) => (float[1,2,4] left, float[1,2,13] y)
            <int64[1] a = {-4}, int64[1] b = {9223372036854775807}, int64[1] ax = {2}> {
            all = Concat<axis=2>(x, new) left = Slice(all, a, b, ax) y = Tanh(all) }""",
            *STATES,
        ),
        ("(float[2,3] x, float[2,4] z) => (float[2,7] y) { c = Concat<axis=1>(x, z) y = Tanh(c) }", *NUMBERS),
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


@pytest.mark.parametrize(
    ("graph", "values"),
    [
        ("(float[4] x) => (float[4] y) <float k = {200}> { y = Min(x, k) }", {150, 250}),
        ("(float[4] x) => (float[4] y) <float k = {-100}> { y = Max(k, x) }", {-125, -75}),
        ("(float[4] x) => (float[4] y) <float k = {100}> { y = Clip(x, , k) }", {75, 125}),
        ("(float[4] x) => (float[4] y) <float k = {100}, float h = {0.5}> { m = Mul(x, h) y = Min(m, k) }", {150, 250}),
        ("(float[4] x) => (float[4] y) { y = ThresholdedRelu<alpha=40.0>(x) }", {30, 50}),
        ("(float[4] x) => (bool[4] y) <float k = {12}> { y = Greater(x, k) }", {9, 15}),
        ("(int64[4] x) => (bool[4] y) <int64 k = {12}> { y = Greater(x, k) }", {12}),
        ("(int64[4] x) => (bool[4] y) <int64 k = {16000}> { y = Equal(x, k) }", {16000}),
    ],
)
def test_both_sides_of_a_threshold_are_wanted(graph: str, values: set[float]) -> None:
    found = domains(graph)["x"]
    assert set(found.values) == values
    assert found.reasons


@pytest.mark.parametrize("name", ["state", "past_key_0", "h_state", "cache.1", "hidden", "past"])
def test_what_is_called_a_state_and_comes_back_is_one(name: str) -> None:
    text = "(float[2,3] NAME, float[2,3] x) => (float[2,3] next, float[2,1] y) { next = Add(NAME, x) y = ReduceSum(x) }"
    graph = text.replace("NAME", name.replace(".", "_"))
    found = domains(graph)
    assert found[name.replace(".", "_")].kind is Kind.STATE
    assert found["x"].kind is Kind.NUMBERS


@pytest.mark.parametrize("name", ["estate", "pasta", "x", "statement"])
def test_other_names_are_no_states(name: str) -> None:
    assert domains(f"(float[2,3] {name}) => (float[2,3] y) {{ y = Tanh({name}) }}")[name].kind is Kind.NUMBERS


@pytest.mark.parametrize(
    ("mask", "total", "kind"),
    [
        ("int64", "y = Div(s, n)", Kind.MASK),
        ("int64", "d = Add(n, e) y = Div(s, d)", Kind.MASK),
        ("int64", "d = Max(n, e) y = Div(s, d)", Kind.MASK),
        ("int64", "y = Div(n, s)", Kind.INTEGERS),
        ("int64", "y = Div(f, n)", Kind.INTEGERS),
        ("float", "y = Div(s, n)", Kind.NUMBERS),
    ],
    ids=["plain", "guarded", "bounded", "other-way-round", "of-itself", "any-weights"],
)
def test_weights_of_a_mean(mask: str, total: str, kind: Kind) -> None:
    graph = f"""(float[2,6] v, {mask}[2,6] m) => (float[2,A] y) <int64[1] a = {{1}}, float e = {{1e-9}}> {{
        f = Cast<to=1>(m) p = Mul(v, f) s = ReduceSum(p, a) n = ReduceSum(f, a) {total} }}"""
    assert domains(graph)["m"].kind is kind
