"""`--shape` in every command: an error where it fits nothing, and told what it does where it fits."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mnncompat.cli import main

TEXT = '<ir_version: 8, opset_import: ["": 17]> g (float[n,4] x) => (float[n,4] y) { y = Relu(x) }'
COMMANDS = {
    "check": ["check", "model.onnx"],
    "check --probe": ["check", "model.onnx", "--probe"],
    "fix": ["fix", "model.onnx", "--diff"],
    "convert": ["convert", "model.onnx", "--dry-run", "-q"],
    "verify": ["verify", "model.onnx", "model.mnn"],
}
BAD = {
    "x:1,a": "is not a shape",
    "x:1,,4": "is not a shape",
    "x:1,4,": "is not a shape",
    "x:": "is not a shape",
    "x:-1,4": "is not a shape",
    "x:0,4": "is not a shape",
    "x": "is not a shape",
    "z:1,4": "no input 'z'",
    ":1,4": "no input ''",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a dynamic input; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    onnx.save(parser.parse_model(TEXT), "model.onnx")
    Path("model.mnn").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("shape", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_fits_nothing_is_an_error(command: str, shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMANDS[command], "--shape", shape]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert BAD[shape] in error
    assert hint.startswith("hint: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_has_one_shape(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMANDS[command], "--shape", "x:1,4", "--shape", "x:2,4"]) == 2
    assert "--shape names x twice" in capsys.readouterr().err


def test_convert_begins_there_and_fix_fixes_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMANDS["convert"], "--shape", "x:3,4"]) == 0
    told = capsys.readouterr().out
    assert "the comparison begins at x [3, 4]; nothing is fixed to it: `mnncompat fix --shape` does that" in told
    assert main(["fix", "model.onnx", "-o", "fixed.onnx", "--shape", "x:3,4"]) == 0
    assert "input 'x' is fixed to [3, 4]: it takes no other shape" in capsys.readouterr().out
    dims = onnx.load("fixed.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [3, 4]


@pytest.mark.parametrize("command", ["check", "fix", "convert", "verify"])
def test_help_says_which_command_fixes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    wanted = (
        "--shape fixes nothing" if command == "fix" else "Nothing is fixed to it; `mnncompat fix --shape` does that"
    )
    assert wanted in told
