"""What the graph requires of the sizes is told with the inputs, in numbers that a person can use."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.signature import input_signature
from mnncompat.report.text.parity import assumption
from mnncompat.results.parity_report import InputAssumption

PADDED = """g (float[1,3,h,w] x) => (float[1,3,h,w] y) {
    down = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
    deeper = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (down)
    back = Concat <axis = 2> (deeper, deeper)
    sum = Add (back, back)
    again = Concat <axis = 3> (sum, sum)
    y = Add (again, down)
}"""


def first_plan(text: str) -> dict[str, tuple[tuple[int, ...], tuple[str, ...]]]:
    """Input -> its shape and the relations that are told with it."""
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')
    plan = next(InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=10**9).plans())
    return {each.name: (each.shape, each.relations) for each in plan.assumptions()}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "g (float[1,4,h,w] x) => (float[1,1,2,512] y) <int64[4] s = {1, 1, 2, 512}> { y = Reshape (x, s) }",
            {"x": ((1, 4, 16, 16), ("h * w = 256 (Reshape of [1, 4, h, w] and [1, 1, 2, 512])",))},
        ),
        (
            "g (float[b,n,m] x) => (float[b,60,7] y) <int64[3] s = {0, 60, 7}> { y = Reshape (x, s) }",
            {"x": ((1, 20, 21), ("n * m = 420 (Reshape of [b, n, m] and [b, 60, 7])",))},
        ),
        (
            (
                "g (float[1,past] a, float[1,new] b, float[1,total] c) => (float[1,total] y) "
                "{ all = Concat <axis = 1> (a, b) y = Add (all, c) }"
            ),
            {
                "a": ((1, 8), ()),
                "b": ((1, 16), ()),
                "c": ((1, 24), ("total = new + past (Add of [1, new + past] and [1, total])",)),
            },
        ),
        (
            "g (float[b,n] x) => (float[b,m,2] y) <int64[3] s = {0, -1, 2}> { y = Reshape (x, s) }",
            {"x": ((1, 16), ("n a multiple of 2 (Reshape of [b, n] and [b, -1, 2])",))},
        ),
        ("g (float[1,n] x) => (float[1,n] y) { y = Relu (x) }", {"x": ((1, 16), ())}),
        (
            """g (float[1,h,w] x) => (float[1,h,w] y)
            <int64 one = {1}, int64 two = {2}, int64[1] head = {1}, int64[1] zero = {0}> {
                s = Shape (x) h = Gather (s, one) w = Gather (s, two) n = Mul (w, h) u = Unsqueeze (n, zero)
                t = Concat <axis = 0> (head, u) f = Reshape (x, t) y = Reshape (f, s) }""",
            {"x": ((1, 16, 16), ())},
        ),
        (
            "g (float[n,4,3] x) => (float[n,12] y) <int64[2] s = {0, -1}> { y = Reshape (x, s) }",
            {"x": ((1, 4, 3), ())},
        ),
    ],
)
def test_relations(text: str, told: dict[str, tuple[tuple[int, ...], tuple[str, ...]]]) -> None:
    assert first_plan(text) == told


def test_what_cannot_be_read_is_left_out() -> None:
    ((_, relations),) = first_plan(PADDED).values()
    assert all(len(each.partition(" (")[0]) < 60 for each in relations)


def test_relations_are_told_beside_the_shape() -> None:
    assumed = InputAssumption(
        name="x", dtype="float32", shape=(1, 20, 21), values="numbers", relations=("n * m = 420 (Reshape)",)
    )
    assert assumption(assumed) == "x: float32 [1, 20, 21] with n * m = 420 (Reshape), numbers"
