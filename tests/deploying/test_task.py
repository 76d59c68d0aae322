"""`verify --transform` and `--labels`: what the model is for, beside what it computes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mnncompat
from mnncompat.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mnist"
TRANSFORMS = """
import numpy as np
def trained(image):
    return np.asarray(image.convert("L"), np.float32)[None] / 255
def wrong(image):
    return np.asarray(image.convert("L"), np.float32)[None]
def right(outputs, labels):
    return {"right": sum(int(each["logits"].argmax() == label) for each, label in zip(outputs, labels))}
def broken(image):
    raise ValueError("no")
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of digits, their labels, transforms and a converted model."""
    sys.path.insert(0, str(EXAMPLE))
    from digits import Reference

    sys.path.remove(str(EXAMPLE))
    found = tmp_path_factory.mktemp("task")
    reference = Reference.load(EXAMPLE / "test-digits.npz")
    (found / "digits").mkdir()
    for number, image in enumerate(reference.digits.images[:12]):
        Image.fromarray(np.round(image[0] * 255).astype(np.uint8)).save(found / "digits" / f"{number:02d}.png")
    lines = [f"{number:02d}.png,{label}" for number, label in enumerate(reference.digits.labels[:12])]
    (found / "labels.csv").write_text("\n".join(lines))
    (found / "task.py").write_text(TRANSFORMS)
    result = mnncompat.convert(EXAMPLE / "mnist-fc.onnx", found / "mnist.mnn", power=False, accept=("not-proven",))
    assert result.verdict == "converted"
    return found


def verify(folder: Path, *words: str, steps: str = "color:gray,scale:255") -> int:
    prepared = ["--preprocess", f"image={steps}"] if steps else []
    fixed = ["--no-power", "--accept", "not-proven", "--input", f"image={folder / 'digits'}", "-q"]
    return main(["verify", str(EXAMPLE / "mnist-fc.onnx"), str(folder / "mnist.mnn"), *fixed, *prepared, *words])


def told(capsys: Capture) -> dict[str, Any]:
    (found,) = json.loads(capsys.readouterr().out)["results"]
    return dict(found)


def test_the_same_as_in_training_and_a_table(folder: Path, capsys: Capture) -> None:
    words = ["--transform", f"image={folder / 'task.py'}:trained", "--labels", str(folder / "labels.csv")]
    assert verify(folder, *words, "--variant", "weights=4", "--output-format", "json") == 0
    found = told(capsys)
    (prepared,) = found["preprocess"]
    assert prepared["passed"]
    assert prepared["images"] == 8
    assert max(prepared["levels"], prepared["transform_levels"]) < 0.1
    assert [row["where"] for row in found["accuracy"]["rows"]] == ["ONNX Runtime", "MNN", "MNN, weights of 4 bits"]
    whole, mnn, rounded = found["accuracy"]["rows"]
    assert whole["scores"] == mnn["scores"] == {"top-1": pytest.approx(11 / 12), "top-5": 1.0}
    assert mnn["agreement"] == 1
    assert rounded["bytes"] < mnn["bytes"] / 4
    assert 10 < rounded["snr_db"] < mnn["snr_db"]
    assert found["accuracy"]["samples"] == 12


def test_another_preprocessing_fails_and_is_named(folder: Path, capsys: Capture) -> None:
    assert verify(folder, "--transform", f"image={folder / 'task.py'}:wrong") == 1
    shown = capsys.readouterr().out
    assert "the transform differs: pixels are not divided by the scale of 255" in shown
    assert "preprocessing differs: images are not prepared as in training" in shown
    assert verify(folder, "--transform", f"image={folder / 'task.py'}:wrong", "--output-format", "concise") == 1
    assert "preprocessing of image: pixels are not divided" in capsys.readouterr().out


def test_the_transform_alone_feeds_the_model_and_a_metric_scores_it(folder: Path, capsys: Capture) -> None:
    words = ["--transform", f"image={folder / 'task.py'}:trained", "--labels", str(folder / "labels.csv")]
    assert verify(folder, *words, "--metric", f"{folder / 'task.py'}:right", "--data-only", steps="") == 1
    shown = capsys.readouterr().out
    assert "proven at 1 alone" in shown, "images alone do not prove other batches"
    assert "ONNX Runtime" in shown
    assert "right" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "task.py:right"], "add --labels FILE"),
        (["--labels", "nothing.csv"], "no such file"),
        (["--labels", "{folder}/task.py"], "has no label for 00.png"),
        (["--labels", "{folder}/labels.csv", "--variant", "weights=9"], "there are no weights of 9"),
        (["--labels", "{folder}/labels.csv", "--variant", "precision=low"], "makes no difference on this machine"),
        (["--labels", "{folder}/labels.csv", "--variant", "fast"], "is not understood"),
        (["--labels", "{folder}/labels.csv", "--metric", "{folder}/task.py:nothing"], "has no function nothing"),
        (["--transform", "other={folder}/task.py:trained"], "there are no images for it"),
        (["--transform", "image={folder}/task.py:broken"], "ValueError: no"),
        (["--transform", "image=trained"], "is not MODULE:FUNCTION"),
    ],
)
def test_bad_words(words: list[str], said: str, folder: Path, capsys: Capture) -> None:
    assert verify(folder, *(each.format(folder=folder) for each in words)) == 2
    assert said in capsys.readouterr().err
