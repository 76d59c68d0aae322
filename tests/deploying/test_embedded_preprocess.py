"""`fix --embed-preprocess`: the model takes bytes, and computes what it computed of prepared images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from photographs import photograph
from PIL import Image

import mnncompat
from mnncompat.cli import main
from mnncompat.fixing import embedded_preprocess
from mnncompat.mnn import read_graph
from mnncompat.parity.images import decode, parse_preprocess
from mnncompat.parity.runners import OnnxRunner

NUMBERS = "scale:255,mean:0.485/0.456/0.406,std:0.229/0.224/0.225"
Capture = pytest.CaptureFixture[str]


def model(place: Path, *, channels: int = 3, last: bool = False, batch: str = "N") -> Path:
    shape = f"{batch},24,20,{channels}" if last else f"{batch},{channels},24,20"
    turned = "t = Transpose<perm=[0,3,1,2]>(image)" if last else "t = Identity(image)"
    proto = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 17]> g (float[{shape}] image) => (float[{batch},4,24,20] y)
        {{ {turned} y = Conv<pads=[1,1,1,1]>(t, w) }}"""
    )
    weights = np.random.default_rng(0).normal(0, 0.3, (4, channels, 3, 3)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(proto, place)
    return place


def computed(place: Path, image: np.ndarray) -> np.ndarray:
    found = OnnxRunner(place).run([{"image": image}])
    assert isinstance(found, list)
    return found[0]["y"]


@pytest.mark.parametrize(
    ("steps", "built"),
    [
        (NUMBERS, {}),
        (f"color:bgr,{NUMBERS}", {"batch": "1"}),
        ("color:gray,scale:127.5,mean:1", {"channels": 1}),
        (f"color:bgr,{NUMBERS}", {"last": True}),
    ],
)
def test_bytes_in_the_same_out(steps: str, built: dict[str, object], tmp_path: Path, capsys: Capture) -> None:
    source = model(tmp_path / "m.onnx", **built)  # type: ignore[arg-type]
    out = tmp_path / "bytes.onnx"
    assert main(["fix", str(source), "-o", str(out), "--embed-preprocess", f"image={steps}"]) == 0
    assert "takes uint8 images, [batch, height, width, 3], red first; proven equal" in capsys.readouterr().err
    (given,) = onnx.load(out).graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    Image.fromarray(photograph(1, (24, 20))).save(tmp_path / "photo.png")
    declared = parse_preprocess("--preprocess", steps)
    pixels = decode(tmp_path / "photo.png", declared).astype(np.float32) / np.float32(declared.scale)
    pixels = ((pixels - np.asarray(declared.mean or 0)) / np.asarray(declared.std or 1)).astype(np.float32)
    prepared = pixels[None] if built.get("last") else np.moveaxis(pixels, -1, 0)[None]
    right = computed(source, prepared)
    found = computed(out, np.asarray(Image.open(tmp_path / "photo.png"))[None])
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=2e-5)
    result = mnncompat.convert(out, tmp_path / "m.mnn", power=False)
    assert result.verdict == "converted"
    assert [each.dtype for each in read_graph(tmp_path / "m.mnn").inputs] == ["uint8"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("photo=scale:255", "there is no such input"),
        ("image=color:gray", "has 1 channels"),
        ("image=size:3", "there is no step 'size'"),
    ],
)
def test_what_does_not_fit(steps: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    source = model(tmp_path / "m.onnx")
    assert main(["fix", str(source), "-o", str(tmp_path / "out.onnx"), "--embed-preprocess", steps]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


def test_wrong_numbers_are_refused(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    right = embedded_preprocess._numbers
    monkeypatch.setattr(embedded_preprocess, "_numbers", lambda steps: right(replace(steps, scale=256.0)))
    words = ["-o", str(tmp_path / "out.onnx"), "--embed-preprocess", f"image={NUMBERS}"]
    assert main(["fix", str(model(tmp_path / "m.onnx")), *words]) == 2
    assert "with the preprocessing embedded, output 'y' differs" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()
