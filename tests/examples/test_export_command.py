"""`mnncompat export`."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mnncompat.cli import main

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 5)

    def forward(self, x):
        return self.fc(torch.flatten(torch.relu(self.conv(x)), 1))

def fails():
    raise RuntimeError("no weights here")

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"net_{abs(hash(request.node.name))}.py"
    path.write_text(MODULE)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_export(exporter: str, dynamic: bool, module: Path, tmp_path: Path) -> None:  # noqa: FBT001
    out = tmp_path / "net.onnx"
    words = ["export", f"{module}:Net", "--shape", "image:1,3,8,8", "-o", str(out), "--exporter", exporter]
    assert main([*words, "--dynamic-batch"] if dynamic else words) == 0
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value") is not dynamic
    assert str(tmp_path).encode() not in out.read_bytes(), "the exporter's paths are private"
    assert main(["convert", str(out), "-q"]) == 0


@pytest.mark.filterwarnings("ignore")
def test_opset(module: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.onnx"
    assert main(["export", f"{module}:Net", "--shape", "1,3,8,8", "-o", str(out), "--opset", "11"]) == 0
    assert onnx.load(out).opset_import[0].version == 11


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        ("{module}", [], "is not MODULE:CALLABLE"),
        ("{module}:Nothing", [], "has no Nothing"),
        ("{module}:number", [], "failed: TypeError"),
        ("{module}:fails", [], "no weights here"),
        ("missing.py:Net", [], "no such file"),
        ("no_such_module_here:Net", [], "cannot be imported"),
        ("{module}:Net", ["--exporter", "magic"], "unknown exporter"),
        ("{module}:Net", ["--shape", "1,a"], "is not a shape"),
        ("{module}:Net", ["--opset", "3"], "opset"),
    ],
)
def test_bad_input(
    target: str, options: list[str], expected: str, module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.onnx"
    shapes = [] if "--shape" in options else ["--shape", "1,3,8,8"]
    assert main(["export", target.format(module=module), *shapes, *options, "-o", str(out)]) == 2
    assert expected in capsys.readouterr().err
    assert not out.exists()


def test_torch_is_optional(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert main(["export", f"{module}:Net", "--shape", "1,3,8,8", "-o", str(tmp_path / "net.onnx")]) == 2
    assert 'pip install "mnncompat[torch]"' in capsys.readouterr().err


TAGGER = """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 6)
        self.out = nn.Linear(6, 3)

    def forward(self, ids, keep):
        return self.out(self.table(ids)) * keep.unsqueeze(-1).to(torch.float32)

def positional():
    return torch.zeros(1, 5, dtype=torch.int64), torch.ones(1, 5, dtype=torch.bool)

def keywords():
    return {"keep": torch.ones(1, 5, dtype=torch.bool), "ids": torch.zeros(1, 5, dtype=torch.int64)}

def wrong():
    return 3
"""


@pytest.fixture
def tagger(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / f"tagger_{abs(hash(request.node.name))}.py"
    path.write_text(TAGGER)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--shape", "ids:int64:1,5", "--shape", "keep:bool:1,5"], ["ids", "keep"]),
        (["--shape", "keep:bool:1,5", "--shape", "ids:int64:1,5", "--by-name"], ["keep", "ids"]),
        (["--inputs", "{tagger}:positional"], ["input", "input_1"]),
        (["--inputs", "{tagger}:keywords"], ["keep", "ids"]),
    ],
)
def test_inputs_of_other_types(exporter: str, words: list[str], names: list[str], tagger: Path, tmp_path: Path) -> None:
    out = tmp_path / "tagger.onnx"
    given = [word.format(tagger=tagger) for word in words]
    assert main(["export", f"{tagger}:Tagger", *given, "-o", str(out), "--exporter", exporter]) == 0
    inputs = {each.name: each.type.tensor_type.elem_type for each in onnx.load(out).graph.input}
    assert set(inputs) == set(names)
    assert set(inputs.values()) == {onnx.TensorProto.INT64, onnx.TensorProto.BOOL}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "the inputs are not clear"),
        (["--shape", "1,5", "--inputs", "{tagger}:positional"], "the inputs are not clear"),
        (["--inputs", "{tagger}:nothing"], "names no function"),
        (["--inputs", "{tagger}:wrong"], "something else than tensors"),
        (["--shape", "ids:int65:1,5"], "torch could not export"),
        (["--shape", "ids:int64:1,x"], "is not a shape"),
    ],
)
def test_inputs_that_do_not_fit(
    words: list[str], told: str, tagger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tagger.onnx"
    given = [word.format(tagger=tagger) for word in words]
    assert main(["export", f"{tagger}:Tagger", *given, "-o", str(out)]) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()
