"""Models of bfloat16 are fed with its numbers, and computed in float32 on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, parser

from mnncompat.parity import compare_models
from mnncompat.parity.bfloat16 import in_float32, rounded
from mnncompat.parity.given_inputs import checked
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature
from mnncompat.results.failures import Failure


def _model(body: str) -> ModelProto:
    text = f"graph (bfloat16[2,3] x) => (bfloat16[2,3] y) {{ {body} }}"
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {text}')
    model.graph.initializer.append(onnx.helper.make_tensor("k", onnx.TensorProto.BFLOAT16, [1], [1.5]))
    return model


def test_what_is_drawn_and_given_are_numbers_of_bfloat16() -> None:
    signature = input_signature(_model("y = Add(x, k)"))
    _, arrays = checked(signature, {}, {"x": np.full((2, 3), 1.001, np.float32)})
    assert np.array_equal(arrays["x"], np.ones((2, 3), np.float32))
    narrow = np.asarray([1.0, 1.0078125, -3e38], np.float32)
    assert np.array_equal(rounded(narrow), rounded(rounded(narrow)))


@pytest.mark.parametrize("form", ["in memory", "a file"])
def test_the_reference_computes_in_float32(form: str, tmp_path: Path) -> None:
    model = _model("s = Softmax(x) y = Mul(s, k)")
    onnx.save(model, tmp_path / "model.onnx")
    runner = OnnxRunner(model) if form == "in memory" else OnnxRunner(tmp_path / "model.onnx", known=model)
    x = np.asarray([[1, 2, 3], [0, 0, 0]], np.float32)
    found = runner.run([{"x": x}])
    assert not isinstance(found, Failure), found
    powers = np.exp(x)
    assert np.allclose(found[0]["y"], 1.5 * powers / powers.sum(1, keepdims=True), rtol=1e-6)


def test_a_cast_to_bfloat16_rounds() -> None:
    model = _model("f = Cast<to=1>(x) d = Div(f, t) c = Cast<to=16>(d) y = Mul(c, k)")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(3, np.float32), "t"))
    found = OnnxRunner(model).run([{"x": np.ones((2, 3), np.float32)}])
    assert not isinstance(found, Failure), found
    assert found[0]["y"][0, 0] == 1.5 * rounded(np.asarray(1 / 3))


def test_what_differs_is_found() -> None:
    assert compare_models(_model("y = Add(x, k)"), _model("y = Add(k, x)")).passed
    assert not compare_models(_model("y = Add(x, k)"), _model("y = Sub(x, k)")).passed
    assert (
        in_float32(
            parser.parse_model('<ir_version: 8, opset_import: ["": 17]> g (float[1] x) => (float[1] y) { y = Abs(x) }')
        )
        is None
    )
