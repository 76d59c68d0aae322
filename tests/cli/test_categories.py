"""Categories of rules: what MNN computes right, but could compute faster, is reported and fails only if asked for."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from mnncompat.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 0),
        (["--fail-on", "warning"], 0),
        (["--fail-on", "error"], 0),
        (["--fail-on", "never"], 0),
        (["--fail-on", "performance"], 1),
        (["--select", "MNN801"], 1),
        (["--select", "MNN8"], 1),
        (["--select", "fully-connected-to-convolution"], 1),
        (["--select", "MNN801", "--fail-on", "error"], 0),
        (["--select", "MNN1"], 0),
        (["--ignore", "MNN801", "--fail-on", "performance"], 0),
        (["--mnn", "0.2.0.4"], 1),
        (["--mnn", "0.2.0.4", "--ignore", "MNN801"], 1),
        (["--mnn", "0.2.0.4", "--fail-on", "error"], 1),
    ],
)
def test_what_fails(options: list[str], status: int, tutorial: Path, capsys: Capture) -> None:
    assert main(["check", str(tutorial), *options]) == status, capsys.readouterr().out


def test_the_configuration_asks_for_it(
    tutorial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    model = str(tutorial.resolve())
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nfail-on = "performance"\n')
    assert main(["check", model]) == 1
    assert "performance warning[MNN801]" in capsys.readouterr().out
    (tmp_path / "pyproject.toml").write_text('[tool.mnncompat]\nfail-on = "speed"\n')
    assert main(["check", model]) == 2
    assert "there are: error, warning, performance, never" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output_format", "words"),
    [
        ("text", "2 performance warnings"),
        ("concise", "warning MNN801 [*] [performance] "),
        ("github", "title=MNN801 fully-connected-to-convolution (performance)"),
    ],
)
def test_reports_say_what_a_finding_is_about(output_format: str, words: str, tutorial: Path, capsys: Capture) -> None:
    main(["check", str(tutorial), "--output-format", output_format])
    assert words in capsys.readouterr().out


def test_documents_for_machines_say_it(tutorial: Path, capsys: Capture) -> None:
    main(["check", str(tutorial), "--mnn", "0.2.0.4", "--output-format", "json"])
    (result,) = json.loads(capsys.readouterr().out)["results"]
    about = {each["code"]: each["category"] for each in result["diagnostics"]}
    assert (about["MNN001"], about["MNN801"]) == ("correctness", "performance")
    main(["check", str(tutorial), "--output-format", "sarif"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert {each["properties"]["category"] for each in run["results"]} == {"performance"}
    (rule,) = [each for each in run["tool"]["driver"]["rules"] if each["id"] == "MNN801"]
    assert rule["properties"]["category"] == "performance"
    assert "performance" in rule["properties"]["tags"]


def test_rule_says_it(capsys: Capture) -> None:
    main(["rule", "MNN801"])
    assert "category: performance" in capsys.readouterr().out
    main(["rule", "MNN001", "--output-format", "json"])
    assert json.loads(capsys.readouterr().out)["items"][0]["category"] == "correctness"


def test_fix_takes_it_without_being_asked_and_leaves_it_if_told(tutorial: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert main(["fix", str(tutorial), "-o", str(out), "--no-verify"]) == 0
    assert "Gemm" not in {node.op_type for node in onnx.load(out).graph.node}
    assert main(["fix", str(tutorial), "-o", str(out), "--no-verify", "--ignore", "MNN801"]) == 0
    assert out.read_bytes() == tutorial.read_bytes()
