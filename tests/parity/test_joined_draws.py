"""Several draws in one run give what each gives alone, and nothing is joined that mixes them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper, parser

from mnncompat.parity import joined_draws
from mnncompat.parity.joined_draws import joined
from mnncompat.parity.runners import OnnxRuntimeRunner

RANDOM = np.random.default_rng(3)
WEIGHTS = {
    "square": RANDOM.standard_normal((8, 8)).astype(np.float32),
    "bias": RANDOM.standard_normal(8).astype(np.float32),
    "rows": RANDOM.standard_normal((3, 8)).astype(np.float32),
    "kernel": RANDOM.standard_normal((4, 3, 1)).astype(np.float32),
}
TOGETHER = {
    "products": "(float[3,8] x) => (float[3,8] m, float[3,8] y) { m = MatMul(x, square) n = Tanh(m) y = Add(n, bias) }",
    "Gemm": "(float[3,8] x) => (float[3,8] y) { g = Gemm <transB=1> (x, square, bias) y = Softmax(g) }",
    "batches": "(float[2,3,8] x) => (float[2,4,8] y) { m = MatMul(x, square) y = Conv(m, kernel) }",
    "computed weights": "(float[3,8] x) => (float[3,8] y) { w = Transpose(square) m = MatMul(x, w) y = Relu(m) }",
    "an output of stored values": """(float[3,8] x) => (float[3,8] y, float[8] z)
    { y = MatMul(x, square) z = Neg(bias) }""",
}
ALONE = {
    "a row of its own": "(float[8] x) => (float[8] y) { y = MatMul(x, square) }",
    "rows that are transposed": "(float[8,3] x) => (float[3,8] y) { y = Gemm <transA=1> (x, square) }",
    "a bias for each row": "(float[3,8] x) => (float[3,8] y) { y = Gemm(x, square, rows) }",
    "the weights first": "(float[8,3] x) => (float[8,3] y) { y = MatMul(square, x) }",
    "no products": "(float[3,8] x) => (float[3,8] y) { y = Add(x, bias) }",
}


def model(text: str, opset: int) -> ModelProto:
    found = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> agraph {text}')
    read = {name for node in found.graph.node for name in node.input}
    found.graph.initializer.extend(numpy_helper.from_array(WEIGHTS[name], name) for name in sorted(read & {*WEIGHTS}))
    return found


def draws(found: ModelProto, count: int = 3) -> list[dict[str, np.ndarray]]:
    (value,) = found.graph.input
    shape = [each.dim_value for each in value.type.tensor_type.shape.dim]
    return [{"x": np.random.default_rng(seed).standard_normal(shape).astype(np.float32)} for seed in range(count)]


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("case", TOGETHER)
def test_each_draw_gives_what_it_gives_alone(case: str, opset: int) -> None:
    found = model(TOGETHER[case], opset)
    feeds = draws(found)
    together = joined(found, feeds)
    assert together is not None
    kinds = [node.op_type for node in together.model.graph.node]
    assert sum(kinds.count(each) for each in ("MatMul", "Gemm", "Conv")) == (2 if case == "batches" else 1)
    outputs, wanted = OnnxRuntimeRunner(together.model).run([together.feeds]), OnnxRuntimeRunner(found).run(feeds)
    assert isinstance(outputs, list)
    assert isinstance(wanted, list)
    values = together.apart(outputs[0], [each.name for each in found.graph.output])
    for own, expected in zip(values, wanted, strict=True):
        assert own.keys() == expected.keys()
        assert all(np.allclose(own[name], expected[name], rtol=1e-6, atol=1e-6) for name in expected)


@pytest.mark.parametrize("case", ALONE)
def test_what_would_mix_the_draws_is_left(case: str) -> None:
    found = model(ALONE[case], 17)
    assert joined(found, draws(found)) is None


def test_one_draw_other_sizes_and_large_values_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    found = model(TOGETHER["products"].replace("float[3,8]", "float[n,8]"), 17)
    one, two = ({"x": np.ones((size, 8), np.float32)} for size in (2, 3))
    assert joined(found, [one]) is None
    assert joined(found, [one, two]) is None
    assert joined(found, [two, two]) is not None
    monkeypatch.setattr(joined_draws, "_MOST_BYTES", 3 * 8 * 8 * 2)
    assert joined(found, [two, two]) is None
