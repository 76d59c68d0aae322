"""Real models through check, fix, convert and verify: what is right stays right, what is wrong is not published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import mnncompat
from mnncompat.diagnostics import Severity

OCR = "rapidocr-onnxruntime==1.4.4/rapidocr_onnxruntime/models"
VAD = "silero-vad==6.2.3/silero_vad/data"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

RIGHT = {
    f"{OCR}/ch_PP-OCRv4_det_infer.onnx": {},
    f"{OCR}/ch_PP-OCRv4_rec_infer.onnx": {},
    f"{OCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx": {},
    f"{VAD}/silero_vad.onnx": {"input": (1, 576), "state": (2, 1, 128)},
    f"{VAD}/silero_vad_16k_op15.onnx": {},
    f"{VAD}/silero_vad_half.onnx": {},
    f"{VAD}/silero_vad_op18_ifless.onnx": {},
    f"{VAD}/silero_vad_openvino_16k.onnx": {},
}
"""Models that convert and agree, with the shapes that have to be given."""

RATE = np.array(16000, dtype=np.int64)


@pytest.mark.parametrize("name", RIGHT)
def test_models_that_are_right(name: str, wheels: Path, tmp_path: Path) -> None:
    model = wheels / name
    before = model.read_bytes()
    errors = [item.message for item in mnncompat.check(model).diagnostics if item.severity is Severity.ERROR]
    assert errors == [], "a false alarm: the model converts and agrees as it is"
    inputs = {"sr": RATE} if name.endswith(("silero_vad.onnx", "_op15.onnx", "_ifless.onnx")) else {}
    fixed = mnncompat.fix(model, shapes=RIGHT[name], inputs=inputs)
    assert fixed.proven
    assert [prop.value for prop in fixed.model.proto.metadata_props] == [
        prop.value for prop in onnx.load(model).metadata_props
    ]
    out = tmp_path / "model.mnn"
    result = mnncompat.convert(model, out, shapes=RIGHT[name], inputs=inputs)
    assert result.verdict == "converted", result.parity
    assert mnncompat.verify(model, out, shapes=RIGHT[name], inputs=inputs, seed=1).passed
    assert model.read_bytes() == before


def test_the_classifier_of_the_ocr_has_its_head_rewritten(wheels: Path) -> None:
    fixed = mnncompat.fix(wheels / OCR / "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    assert [item.rewrite for item in fixed.applied] == ["fully-connected-to-convolution"]


def test_a_model_that_mnn_gets_wrong_is_not_published(wheels: Path, tmp_path: Path) -> None:
    """MNN's LSTM over a sequence: wrong values beyond the first element, wrong shapes of the states."""
    out = tmp_path / "model.mnn"
    result = mnncompat.convert(wheels / VAD / "silero_vad_16k_sequence.onnx", out)
    assert result.verdict == "not-equal"
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("light_shufflenet", "converted"), ("light_densenet121", "converted"), ("light_squeezenet", "not-equal")],
)
def test_light_networks(name: str, verdict: str, tmp_path: Path) -> None:
    """SqueezeNet's Softmax of opset 8 comes out of MNN as all ones."""
    out = tmp_path / "model.mnn"
    assert mnncompat.convert(LIGHT / f"{name}.onnx", out).verdict == verdict
    assert out.exists() is (verdict == "converted")
    errors = [item for item in mnncompat.check(LIGHT / f"{name}.onnx").diagnostics if item.severity is Severity.ERROR]
    assert bool(errors) is (verdict != "converted"), [item.message for item in errors]
