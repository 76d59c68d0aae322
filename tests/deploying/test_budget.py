"""What a file may take where it is deployed."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

import mnncompat
from mnncompat.cli import main
from mnncompat.converting.budget import Budget

TEXT = """<ir_version: 9, opset_import: ["" : 17]> g (float[2,8] x) => (float[2,8] y) {
    e = Exp(x) s = Sqrt(e) y = Sigmoid(s) }"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-size", "100"], "100 bytes are allowed"),
        (["--max-ops", "3"], "4 ops, and 3 are allowed"),
        (["--max-latency-ratio", "0.001"], "0.001 are allowed"),
    ],
)
def test_more_than_allowed_is_not_published(
    words: list[str], said: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(model), *words]) == 1
    shown = capsys.readouterr().out
    assert said in shown
    assert "not published: more than is allowed" in shown
    assert not model.with_suffix(".mnn").exists()
    assert main(["convert", str(model), *words, "--output-format", "json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["verdict"] == "over-budget"
    assert said in result["exceeded"][0]
    assert result["summary"]["error"] == 1
    assert main(["convert", str(model), *words, "--output-format", "concise"]) == 1
    assert "MNN086" in capsys.readouterr().out


def test_what_is_allowed_is_published(model: Path) -> None:
    words = ["--max-size", "1MB", "--max-ops", "4", "--max-latency-ratio", "1000"]
    assert main(["convert", str(model), *words, "-q"]) == 0
    assert model.with_suffix(".mnn").exists()


def test_the_configuration_states_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model.parent / "pyproject.toml").write_text('[[tool.mnncompat.models]]\npath = "m.onnx"\nmax-ops = 3\n')
    assert main(["convert"]) == 1
    assert "4 ops, and 3 are allowed" in capsys.readouterr().out


def test_python(model: Path) -> None:
    result = mnncompat.convert(model, None, budget=Budget(max_ops=3))
    assert result.verdict == "over-budget"
    assert result.exceeded == ("4 ops, and 3 are allowed",)
    assert result.out is None


@pytest.mark.parametrize("words", [["--max-size", "big"], ["--max-ops", "0"], ["--max-latency-ratio", "-1"]])
def test_what_makes_no_sense(words: list[str], model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(model), *words]) == 2
    assert words[0] in capsys.readouterr().err
