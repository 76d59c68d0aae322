"""Nodes in branches and bodies that read values of the graph around them are right after `fix`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnncompat import check, fix
from mnncompat.probe.measurement import Outcome
from mnncompat.probe.prober import Prober
from mnncompat.probe.row_cases import RowCase

if TYPE_CHECKING:
    from collections.abc import Iterator

WEIGHT = ", ".join(str((7 * each) % 5 - 2.0) for each in range(36))
CONSTANTS = f"""<float lo = {{-1.0}}, float hi = {{0.5}}, int64[1] k = {{2}}, int64[6] pads = {{0, 0, 0, 0, 1, 0}},
int64[1] a = {{1}}, float[6,6] w = {{{WEIGHT}}}, float[6] g = {{1.0, 2.0, 0.5, 1.5, 0.25, 3.0}},
int64[3] n = {{2, 4, 6}}>"""
BEFORE = (
    "",
    "v = Abs(x)",
    "v = Mul(x, hi)",
    "v = MatMul(x, w)",
    "v = Cast<to=1>(x)",
    "v = Reshape(x, n)",
    "v = Softmax(x)",
)
NODES = (
    'p = Pad(v, pads, "")',
    "p = Pad(v, pads, hi)",
    "p = Clip(v, lo)",
    'p = Clip(v, "", hi)',
    'p = Clip(v, lo, "")',
    'p = Clip(v, "", "")',
    "p = Clip(v, lo, hi)",
    "i = Cast<to=7>(v) p = Cast<to=1>(i)",
    "i = Cast<to=6>(v) p = Cast<to=1>(i)",
    "p, i = TopK(v, k)",
    "p, i = TopK<axis=-2>(v, k)",
    'p = LayerNormalization(v, g, "")',
    'p = ReduceSum<keepdims=1>(v, "")',
    'p = Split<axis=1>(v, "")',
    'p = Slice(v, a, k, a, "")',
    "q = Relu(v) p = Clip(q, hi)",
)


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def inside(kind: str, nodes: str) -> tuple[str, dict[str, object]]:
    """A model with the nodes in both branches of an If, or in the body of a Loop, and its inputs."""
    if kind == "branch":
        other = nodes.replace("p ", "p2 ").replace("p,", "p2,").replace("i ", "i2 ").replace("(i)", "(i2)")
        other = other.replace("v ", "v2 ").replace("(v", "(v2").replace("q ", "q2 ").replace("(q", "(q2")
        return (
            f"""agraph (float[2,T,6] x, bool c) => (float[A,B,C] y) {CONSTANTS} {{ y = If<then_branch = one () =>
            (float[A,B,C] p) {{ {nodes} }}, else_branch = two () => (float[A,B,C] p2) {{ {other} }}>(c) }}""",
            {"c": True, "T": 4},
        )
    return (
        f"""agraph (float[2,T,6] x, int64 m) => (float y, float[K,A,B,C] z) {CONSTANTS} {{
        t = Constant<value=bool {{1}}>() y, z = Loop<body = body (int64 j, bool c, float s) =>
        (bool d, float r, float[A,B,C] p) {{ {nodes} d = Identity(c) r = Add(s, hi) }}>(m, t, hi) }}""",
        {"m": 2, "T": 4},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["branch", "body"]), st.sampled_from(BEFORE), st.sampled_from(NODES))
def test_captured_values(prober: Prober, kind: str, before: str, nodes: str) -> None:
    text, feeds = inside(kind, f"{before} {nodes if before else nodes.replace('(v', '(x')}")
    case = RowCase(
        op="",
        code="",
        is_alike=False,
        name="drawn",
        feeds=feeds,
        text=f'<ir_version: 8, opset_import: ["" : 17]> {text}',
    ).case()
    model = onnx.load_model_from_string(case.model)
    found = [each for each in check(model).diagnostics if each.severity.value == "error"]
    if not found:
        assert prober.measure(case).outcome is Outcome.OK, text
        return
    result = fix(model)
    assert not result.rolled_back
    fixed = replace(case, model=result.model.proto.SerializeToString())
    measured = prober.measure(fixed)
    assert measured.outcome is Outcome.OK, (text, measured)
