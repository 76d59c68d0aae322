"""Of the sizes that a signal may have, those are fed at which more than one frame comes out."""

from __future__ import annotations

from onnx import parser

from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.signature import input_signature

STFT = """(float[N,T] x) => (float[N,F,9,2] y) <int64 step = {8}, int64 n = {16}> {
    s = STFT(x, step, , n) m = ReduceMean<axes=[1]>(s) y = Sub(s, m) }"""


def fed(graph: str) -> list[tuple[int, ...]]:
    """Shapes of the first input in the plans of a model, in their order."""
    model = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\ng {graph}')
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=1_000_000_000)
    return [plan.shapes["x"] for plan in planner.plans()]


def test_more_than_one_frame_comes_first() -> None:
    frames = [(samples - 16) // 8 + 1 for _, samples in fed(STFT)]
    assert frames[:3] == [3, 7, 15], "in the order of the lengths, 16 with its one frame left out"


def test_one_frame_is_taken_where_there_are_no_more() -> None:
    one = STFT.replace("[N,T] x", "[N,T] x, float[T,16] z").replace("s = STFT", "u = MatMul(x, z) s = STFT")
    assert fed(one.replace("STFT(x", "STFT(u"))[0][1] == 16


def test_lengths_without_computed_sizes_keep_their_order() -> None:
    assert fed("(float[N,T] x) => (float[N,T] y) { y = Relu(x) }")[0] == (1, 16)
    assert fed("(float[N,T] x) => (float[N,T] y) { a = Concat<axis=1>(x, x) y = Relu(a) }")[0] == (1, 16)
