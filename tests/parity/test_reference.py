"""Feeds that the original accepts, within a budget, with the true reason where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.parity import compare_models, real_data
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.memory import Estimator
from mnncompat.parity.reference import Reference, run_reference
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure, FailureKind, Stage

GB = 1 << 30


def model_of(graph: str, **weights: np.ndarray) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\ng {graph}')
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def reference(model: onnx.ModelProto, memory: int = GB, **arrays: np.ndarray) -> Reference:
    shapes = {name: array.shape for name, array in arrays.items()}
    planner = InputPlanner(model, input_signature(model), shapes, arrays, seed=0, memory=memory)
    return run_reference(planner, OnnxRuntimeRunner(model))


def outputs_of(found: Reference) -> list[dict[str, np.ndarray]]:
    assert not isinstance(found.outputs, Failure), found.outputs.message
    return found.outputs


MASKED = """(float[1,6,8] x, bool[1,6] mask) => (float[1,6,3] y)
<int64[1] ax = {1}, float low = {-inf}> {
    keep = Not(mask) k = Unsqueeze(keep, ax) s = MatMul(x, w) t = Where(k, s, low) p = Softmax<axis=-1>(t)
    y = MatMul(p, v) }"""


def test_a_mask_that_leaves_nothing_is_not_drawn() -> None:
    weights = {"w": np.ones((8, 6), np.float32), "v": np.ones((6, 3), np.float32)}
    found = reference(model_of(MASKED.replace("-inf", "0"), **weights))
    assert len(outputs_of(found)) == 5
    low = numpy_helper.from_array(np.array(-np.inf, np.float32), "low")
    model = model_of(MASKED.replace(", float low = {-inf}", ""), **weights)
    model.graph.initializer.append(low)
    for each in outputs_of(reference(model)):
        assert np.isfinite(each["y"]).all()


def test_what_is_never_finite_stays_as_it_is() -> None:
    model = model_of("(float[2,3] x) => (float[2,3] y) { z = Sub(x, x) y = Log(z) }")
    found = reference(model)
    assert len(outputs_of(found)) == 5
    assert found.notes == ()


def test_words_about_indices_correct_the_input_that_they_come_from() -> None:
    graph = """(int64[1,4] ids, int64[1,4] other, float[9,2] t, float[300,2] u) => (float[1,4,2] y) {
        two = CumSum(ids, axis) a = Gather(t, two) b = Gather(u, other) y = Add(a, b) }"""
    model = model_of(graph, axis=np.array(1))
    for value in list(model.graph.input)[2:]:
        model.graph.input.remove(value)
    model.graph.node[1].name = "table"
    rows = {"t": np.ones((9, 2), np.float32), "u": np.ones((300, 2), np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in rows.items())
    found = reference(model)
    assert len(outputs_of(found)) == 5
    assumed = {each.name: each.values for each in found.assumptions}
    assert assumed["other"] == "ids below 300", "the other input is not about the failing node"
    assert assumed["ids"] != "integers from 0 to 9"


def test_sizes_stay_within_the_memory_limit() -> None:
    wide = """(float[1,1,H,W] x) => (float[1,64,A,B] y) <float[4] s = {1.0, 1.0, 8.0, 8.0}> {
        c = Conv<pads=[1,1,1,1]>(x, w) y = Resize<mode="nearest">(c, , s) }"""
    model = model_of(wide, w=np.ones((64, 1, 3, 3), np.float32))
    largest = max(feed.arrays["x"].size for feed in reference(model, memory=400_000_000).feeds)
    small = max(feed.arrays["x"].size for feed in reference(model, memory=60_000_000).feeds)
    assert small < largest


def test_a_limit_below_everything_says_what_it_takes() -> None:
    model = model_of("(float[N,4096] x) => (float[N,4096] y) { y = Relu(x) }")
    found = reference(model, memory=1000)
    assert isinstance(found.outputs, Failure)
    assert found.outputs.kind is FailureKind.MEMORY
    assert "--memory-limit" in found.outputs.message


def test_an_estimate_is_near_what_is_alive_at_once() -> None:
    chain = "(float[1000,1000] x) => (float[1000,1000] y) { a = Relu(x) b = Relu(a) c = Relu(b) y = Relu(c) }"
    model = model_of(chain)
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=GB)
    plan = next(planner.plans())
    tensor = 4_000_000
    assert 2 * tensor <= plan.estimate <= 5 * tensor
    assert Estimator(plan.view, {}).bytes({}) == 0


class Poor:
    """A runner that runs out of memory above a size."""

    name = "poor"

    def __init__(self, most: int) -> None:
        self.most = most
        self.seen: list[int] = []

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        size = max(array.size for feed in feeds for array in feed.values())
        self.seen.append(size)
        if size > self.most:
            words = "Failed to allocate memory for requested buffer of size 123"
            return Failure(kind=FailureKind.ERROR, stage=Stage.RUN, message=words, words="")
        return [{"y": np.zeros(1, np.float32)} for _ in feeds]


def test_out_of_memory_leads_to_smaller_sizes_and_is_no_refusal_of_a_batch() -> None:
    model = model_of("(float[N,L] x) => (float[N,L] y) { y = Relu(x) }")
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=GB)
    runner = Poor(20)
    found = run_reference(planner, runner)
    assert not isinstance(found.outputs, Failure)
    assert max(feed.arrays["x"].size for feed in found.feeds) <= 20
    assert {feed.arrays["x"].shape[0] for feed in found.feeds} == {1, 2, 3}
    assert "does not accept one of" not in " ".join(found.notes)


def test_a_batch_that_finds_no_memory_at_all_is_told_so() -> None:
    model = model_of("(float[N,16] x) => (float[N,16] y) { y = Relu(x) }")
    planner = InputPlanner(model, input_signature(model), {}, {}, seed=0, memory=GB)
    notes = " ".join(run_reference(planner, Poor(20)).notes)
    assert "not enough memory" in notes
    assert "does not accept one of" not in notes


@pytest.mark.parametrize("known", [True, False])
def test_all_inputs_that_need_something_are_named(known: bool) -> None:  # noqa: FBT001
    # Two sizes are reshaped to three elements: it loads, and fails whatever the sizes are.
    graph = """(float[A,B] x, float[B,C] z, int64[C] k) => (float[D,E,F] y) <int64 three = {3}, int64[1] zero = {0}> {
        m = MatMul(x, z) n = Size(m) none = Sub(n, n) count = Add(none, three) wanted = Unsqueeze(count, zero)
        sizes = Shape(m) target = Reshape(sizes, wanted) f = Cast<to = 1>(k) g = Add(m, f) y = Reshape(g, target) }"""
    model = model_of(graph)
    found = reference(model, k=np.zeros(3, np.int64)) if known else reference(model)
    assert isinstance(found.outputs, Failure)
    message = found.outputs.message
    assert "--shape x:A,B" in message
    assert ("--shape z:B,C" in message) is not known or "z:B" in message
    assert ("--input k=FILE.npy" in message) is not known


def test_other_sizes_than_given_ones_are_smaller_where_the_graph_allows_it() -> None:
    text = "g (float[n,3,h,w] x) => (float[n,4,a,b] y) { y = Conv<kernel_shape=[40,3]>(x, k) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 3, 40, 3), np.float32), "k"))
    planner = InputPlanner(model, input_signature(model), {"x": (1, 3, 48, 320)}, {}, seed=0, memory=GB)
    plan = next(planner.plans())
    others = [other.shapes["x"] for other in planner.at_other_sizes(plan, planner.others)]
    assert all(height != 48 and width != 320 for _, _, height, width in others)
    assert others[0][2] * others[0][3] < 48 * 320
    found = run_reference(planner, OnnxRuntimeRunner(model))
    assert not isinstance(found.outputs, Failure)
    sizes = [int(np.prod(feed.shapes["x"][2:])) for feed in found.feeds]
    assert sizes[:5] == [48 * 320] * 5
    assert max(sizes[5:]) < 48 * 320
    assert {feed.shapes["x"][0] for feed in found.feeds} == {1, 2, 3}


def test_the_axes_of_an_input_without_a_rank_are_dynamic() -> None:
    model = model_of(
        "(float[N,8] x, float k) => (float[N,4] y) { a = Mul(x, k) y = MatMul(a, w) }", w=np.ones((8, 4), np.float32)
    )
    for value in model.graph.input:
        value.type.tensor_type.ClearField("shape")
    report = compare_models(model, model, shapes={"x": (2, 8), "k": ()})
    assert [(each.dimension, each.sizes, bool(each.settled)) for each in report.sizes] == [
        ("x axis 0", (1, 2, 3), False),
        ("x axis 1", (8,), True),
    ]
    data = {"x": np.ones((2, 8), np.float32), "k": np.ones((), np.float32)}
    report = compare_models(model, model, inputs=replace(real_data(data), only=True))
    assert report.verdict == "one-size"
    assert not model.graph.input[0].type.tensor_type.HasField("shape")
