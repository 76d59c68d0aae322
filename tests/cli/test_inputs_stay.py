"""No result takes the place of what the command reads, whatever option names it; unless that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from mnncompat.cli import main

HEAD = '<ir_version: 10, opset_import: ["" : 17]> g '
MODEL = HEAD + "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }"
WEIGHTS = HEAD + "(float[4] x) => (float[4] y) <float[4] w = {1,2,3,4}> { y = Add(x, w) }"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, one with weights beside it, data, and a link to the model."""
    monkeypatch.chdir(tmp_path)
    onnx.save(parser.parse_model(MODEL), "model.onnx")
    weighty = parser.parse_model(WEIGHTS)
    weighty.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(4, np.float32), "w"))
    onnx.save(weighty, "weighty.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.save("x.npy", np.ones((2, 3), np.float32))
    Path("plain").write_bytes(Path("model.onnx").read_bytes())
    Path("link").symlink_to("plain")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["check", "plain", "--output-file", "plain"],
        ["check", "plain", "--output-file", "./link"],
        ["check", "link", "--output-file", "plain"],
        ["check", "plain", "model.onnx", "--output-file", "plain"],
        ["check", "model.onnx", "--output-file", "model.onnx"],
        ["check", "plain", "--html", "plain"],
        ["check", "plain", "--baseline", "plain", "--update-baseline"],
        ["check", "model.onnx", "--precision", "low", "--input", "x=x.npy", "--output-file", "x.npy"],
        ["check", "weighty.onnx", "--output-file", "weights.bin"],
        ["fix", "weighty.onnx", "-o", "weights.bin"],
        ["fix", "plain", "-o", "link"],
        ["convert", "weighty.onnx", "-o", "weights.bin"],
        ["convert", "plain", "-o", "link"],
        ["diagnose", "plain", "--svg", "plain"],
        ["report", "plain", "plain"],
        ["report", "plain", "plain", "--to", "dot"],
    ],
    ids=" ".join,
)
def test_inputs_stay(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {each: each.read_bytes() for each in folder.iterdir()}
    assert main(words) == 2
    assert {each: each.read_bytes() for each in folder.iterdir()} == before
    said = capsys.readouterr().err
    assert any(each in said for each in ("the command reads that file", "names a model", "is the input itself"))


def test_what_is_asked_for_is_replaced(folder: Path) -> None:
    """`--in-place`, and a report over an earlier one."""
    (folder / "report.txt").write_text("old")
    assert main(["check", "plain", "--output-file", "report.txt"]) == 0
    assert (folder / "report.txt").read_text() != "old"
    assert main(["fix", "model.onnx", "--in-place", "--annotate"]) == 0
    assert main(["fix", "model.onnx", "--in-place"]) == 0
    assert main(["fix", "weighty.onnx", "--in-place", "--annotate"]) == 0
