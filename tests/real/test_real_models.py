"""Real models through check, fix, convert and verify: right results stay right, wrong ones are right after `fix`."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from trained import MODELS

import mnncompat
from mnncompat.graph.model_file import save
from mnncompat.results.diagnostics import Severity

RIGHT = (
    *("ocr-detection", "ocr-recognition", "ocr-direction"),
    *("vad", "vad-opset15", "vad-half", "vad-ifless", "vad-openvino"),
)
"""Models that convert and agree as they are; a fully connected layer of some has no normalisation to take in."""
SETTLED = ("vad", "vad-opset15", "vad-half")
"""Of these, the ones that hold an If of a constant condition: settled, it no longer keeps the file from a Session."""
UNTOUCHED = (*(name for name in RIGHT if name not in SETTLED), "densenet121", "inception_v2", "resnet50", "vgg19")


def errors_of(path: Path) -> list[str]:
    return [item.message for item in mnncompat.check(path).diagnostics if item.severity is Severity.ERROR]


@pytest.mark.parametrize("name", RIGHT)
def test_models_that_are_right(name: str, wheels: Path, tmp_path: Path) -> None:
    path, shapes, inputs = MODELS[name]
    model = wheels / path
    shapes = {} if name.startswith("ocr") else shapes  # several sizes
    before = model.read_bytes()
    assert errors_of(model) == [], "a false alarm: the model converts and agrees as it is"
    fixed = mnncompat.fix(model, shapes=shapes, inputs=inputs)
    assert fixed.proven
    assert {each.rewrite for each in fixed.applied} == ({"constant-if"} if name in SETTLED else set())
    assert [prop.value for prop in fixed.model.proto.metadata_props] == [
        prop.value for prop in onnx.load(model).metadata_props
    ]
    out = tmp_path / "model.mnn"
    result = mnncompat.convert(model, out, shapes=shapes, inputs=inputs)
    assert result.verdict == "converted", result.parity
    assert mnncompat.verify(model, out, shapes=shapes, inputs=inputs, seed=1).passed
    assert model.read_bytes() == before


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_is_healthy_stays_as_it_is_byte_for_byte(name: str, wheels: Path, tmp_path: Path) -> None:
    model, out = wheels / MODELS[name].path, tmp_path / "fixed.onnx"
    fixed = mnncompat.fix(model)
    assert not fixed.changed
    save(fixed.model, out)
    assert out.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("name", "rewrites"), [("squeezenet", {"softmax-axis"}), ("vad-sequence", {"recurrent-open-length"})]
)
def test_models_that_are_wrong_are_right_after_fix(name: str, rewrites: set[str], wheels: Path, tmp_path: Path) -> None:
    """SqueezeNet's Softmax of opset 8 comes out of MNN as all ones; an LSTM's dynamic length is read as 1."""
    path, shapes, inputs = MODELS[name]
    model, out = wheels / path, tmp_path / "model.mnn"
    assert errors_of(model)
    assert mnncompat.convert(model, out, rewrite=False, shapes=shapes, inputs=inputs).verdict == "not-equal"
    assert not out.exists(), "a wrong file is not published"
    result = mnncompat.convert(model, out, shapes=shapes, inputs=inputs)
    assert result.verdict == "converted", result.parity
    assert result.fix is not None
    assert {item.rewrite for item in result.fix.applied} == rewrites
    assert mnncompat.verify(model, out, shapes=shapes, inputs=inputs, seed=1).passed


def test_a_channel_that_is_dead_is_a_warning_and_its_epsilon_is_stated(tmp_path: Path) -> None:
    """One variance of ShuffleNet is 5e-14: MNN divides by a hundredth of what ONNX does, and gets it right by luck."""
    model = MODELS["shufflenet"].path
    assert errors_of(model) == []
    assert mnncompat.convert(model, tmp_path / "as_it_is.mnn", rewrite=False).verdict == "converted"
    result = mnncompat.convert(model, tmp_path / "model.mnn")
    assert result.verdict == "converted"
    assert result.fix is not None
    assert {item.rewrite for item in result.fix.applied} == {"epsilon-stated"}
