"""What the configuration says about single models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_bad_input import linear
from test_many_models import hazardous

from mnncompat.cli import main

Write = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models `a/bad`, `a/good` and `b/bad`; the working directory is above them."""
    for name, proto in (("a/bad", hazardous()), ("a/good", linear()), ("b/bad", hazardous())):
        path = tmp_path / "models" / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(proto.SerializeToString())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configure(folder: Path) -> Write:
    def write(*lines: str) -> None:
        (folder / "pyproject.toml").write_text("\n".join(["[tool.mnncompat]", *lines, ""]))

    return write


def codes(captured: str) -> dict[str, set[str]]:
    results = json.loads(captured)["results"]
    return {each["model"]: {found["code"] for found in each["diagnostics"]} for each in results}


def test_rules_are_ignored_in_files(configure: Write, capsys: pytest.CaptureFixture[str]) -> None:
    configure("[tool.mnncompat.per-file-ignores]", '"models/a/*.onnx" = ["MNN001"]', '"good.onnx" = ["MNN801"]')
    assert main(["check", "models", "--output-format", "json"]) == 1
    found = codes(capsys.readouterr().out)
    assert list(found) == ["models/a/bad.onnx", "models/a/good.onnx", "models/b/bad.onnx"]
    assert "MNN001" not in found["models/a/bad.onnx"]
    assert "MNN001" in found["models/b/bad.onnx"]
    assert main(["check", "models/a"]) == 0
    assert main(["check", "models/b", "--ignore", "MNN001"]) == 0
    assert main(["check", "models/a", "--ignore", "MNN801"]) == 0


def test_a_rule_that_is_ignored_in_a_file_rewrites_nothing_there(configure: Write, folder: Path) -> None:
    configure("[tool.mnncompat.per-file-ignores]", '"models/a/*.onnx" = ["MNN001"]')
    assert main(["fix", "models", "--in-place"]) == 0
    assert (folder / "models/a/bad.onnx").read_bytes() == hazardous().SerializeToString()
    assert (folder / "models/b/bad.onnx").read_bytes() != hazardous().SerializeToString()


def test_a_rule_is_ignored_on_a_node_and_the_report_says_why(
    configure: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    node = hazardous().graph.node[-1].name
    configure(
        *("[[tool.mnncompat.ignore-nodes]]", 'rule = "undeclared-op"', f'node = "{node[:1]}*"'),
        *('model = "models/a/*"', 'reason = "we build MNN ourselves"'),
    )
    assert main(["check", "models/a"]) == 0
    text = capsys.readouterr().out
    assert (
        f"ignored: error[MNN001] undeclared-op at models/a/bad.onnx: {node} (Hardmax): we build MNN ourselves" in text
    )
    assert main(["check", "models/b", "--output-format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["results"][0]["suppressed"] == []


def test_tables_of_models_build_what_is_out_of_date(
    configure: Write, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(
        *("[[tool.mnncompat.models]]", 'path = "models/**/*.onnx"', 'output = "build/"', 'accept = ["one-size"]'),
        *("[[tool.mnncompat.models]]", 'path = "models/a/good.onnx"', 'output = "build/other.mnn"', "seed = 7"),
    )
    (folder / "models/b/bad.onnx").unlink()
    assert main(["convert", "--output-format", "json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [each["out"] for each in results] == ["build/bad.mnn", "build/other.mnn"]
    assert [each["parity"]["seed"] for each in results] == [0, 7]
    before = (folder / "build/bad.mnn").stat().st_mtime_ns
    assert main(["convert"]) == 0
    assert "build/bad.mnn is up to date" in capsys.readouterr().err
    later = before + 10**9
    os.utime(folder / "models/a/bad.onnx", ns=(later, later))
    assert main(["convert", "--output-format", "json"]) == 0
    assert [each["out"] for each in json.loads(capsys.readouterr().out)["results"]] == ["build/bad.mnn"]
    assert main(["check", "--output-format", "json"]) == 1
    assert list(codes(capsys.readouterr().out)) == ["models/a/bad.onnx", "models/a/good.onnx"]


def test_the_command_line_wins(configure: Write, capsys: pytest.CaptureFixture[str]) -> None:
    configure("[[tool.mnncompat.models]]", 'path = "models/a/good.onnx"', "seed = 7")
    words = ["convert", "models/a/good.onnx", "--dry-run", "--output-format", "json"]
    for more, seed in (([], 7), (["--seed", "3"], 3), (["--seed=4"], 4)):
        assert main([*words, *more]) == 0
        assert json.loads(capsys.readouterr().out)["results"][0]["parity"]["seed"] == seed


def test_inputs_are_read_below_the_folder(configure: Write, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = linear().graph.input[0].name
    shape = [each.dim_value or 1 for each in linear().graph.input[0].type.tensor_type.shape.dim]
    np.save(folder / "x.npy", np.ones(shape, np.float32))
    configure("[[tool.mnncompat.models]]", 'path = "models/a/good.onnx"', f'input = {{ {name} = "x.npy" }}')
    assert main(["convert", "models/a/good.onnx", "--dry-run", "--output-format", "json"]) == 0
    draws = json.loads(capsys.readouterr().out)["results"][0]["parity"]["draws"]
    assert "sample 1" in draws


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["[[tool.mnncompat.models]]", 'path = "m"', 'output = "../out/"'], "outside the folder of the file"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'output = "/tmp/x"'], "outside the folder of the file"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'output = "x.py"'], "neither a folder nor an .mnn file"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'input = { x = "../x.npy" }'], "outside the folder of the file"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'feeds = "f.py:f"'], "could run code"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'device = "ssh:host"'], "may not name another machine"),
        (
            ["devices.board = 'ssh:host'", "[[tool.mnncompat.models]]", 'path = "m"', 'device = "board"'],
            "may not name another machine",
        ),
        (["[[tool.mnncompat.models]]", 'output = "x"'], "has no path"),
        (["[[tool.mnncompat.models]]", 'path = "m"', 'seed = "x"'], "must be a int"),
        (["[[tool.mnncompat.models]]", 'path = "m"', "nonsense = 1"], "has no key 'nonsense'"),
        (['models = ["x"]'], "models must be tables"),
        (["[[tool.mnncompat.ignore-nodes]]", 'rule = "MNN001"', 'node = "x"'], "lacks a rule, node or reason"),
        (["[[tool.mnncompat.ignore-nodes]]", 'rule = "x"', 'nodes = "x"'], "no key 'nodes'"),
        (["[tool.mnncompat.per-file-ignores]", '"x" = "MNN801"'], "must be a list of texts"),
        (["[tool.mnncompat.per-file-ignores]", '"*.onnx" = ["MNN999"]'], "MNN999"),
    ],
)
def test_what_is_wrong_is_said(
    configure: Write, folder: Path, lines: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(*lines)
    assert main(["check", str(folder / "models/a/good.onnx")]) == 2
    assert told in capsys.readouterr().err
    assert sorted(each.name for each in folder.iterdir()) == ["models", "pyproject.toml"]


def test_no_model_at_all_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001
    for command in ("check", "fix", "convert"):
        assert main([command]) == 2
        assert "MODEL is missing" in capsys.readouterr().err


def test_another_file_of_settings(configure: Write, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure('ignore = ["MNN001"]')
    (folder / "other.toml").write_text('exclude = ["b"]\n')
    assert main(["check", "models"]) == 0
    for words in (["--config", "other.toml"], ["--config=other.toml"]):
        capsys.readouterr()
        assert main(["check", "models", *words, "--output-format", "json"]) == 1
        assert list(codes(capsys.readouterr().out)) == ["models/a/bad.onnx", "models/a/good.onnx"]
    assert main(["check", "models"]) == 0
    assert main(["check", "models", "--config", "nowhere.toml"]) == 2
    assert "nowhere.toml: no such file" in capsys.readouterr().err


def test_results_of_several_models_go_to_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", "models/a", "-o", "out"]) == 2
    assert "is no folder" in capsys.readouterr().err
    (folder / "out").mkdir()
    assert main(["fix", "models/a", "-o", "out"]) == 0
    assert sorted(each.name for each in (folder / "out").iterdir()) == ["bad.onnx", "good.onnx"]
    assert main(["fix", "models", "-o", "out"]) == 2
    assert "would be the result of several models" in capsys.readouterr().err
