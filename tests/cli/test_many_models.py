"""One model that cannot be read, or worked on, is part of the report, and takes nothing away from the others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import ModelProto
from test_bad_input import linear

from mnncompat.cli import main
from mnncompat.fixing import transaction

FORMATS = ("text", "concise", "json", "sarif", "github")
COMMANDS = {
    "check": ["check", "{first}", "{bad}", "{last}"],
    "fix": ["fix", "{first}", "{bad}", "{last}", "--in-place"],
    "convert": ["convert", "{first}", "{bad}", "{last}", "-q"],
}


def hazardous() -> ModelProto:
    """A model with an operator that MNN does not have."""
    proto = linear()
    proto.graph.node[-1].op_type = "Hardmax"
    return proto


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / f"{name}.onnx" for name in ("first", "bad", "last")}
    for name, path in found.items():
        path.write_bytes(b"" if name == "bad" else hazardous().SerializeToString())
    return found


def run(command: str, models: dict[str, Path], output_format: str, capsys: pytest.CaptureFixture[str]) -> Any:
    words = [word.format(**models) for word in COMMANDS[command]]
    assert main([*words, "--output-format", output_format]) == 2
    return capsys.readouterr()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("output_format", FORMATS)
def test_every_format_has_all_of_them(
    command: str, output_format: str, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    captured = run(command, models, output_format, capsys)
    assert "MNN090" in captured.out
    assert "the file is empty" in captured.out
    assert str(models["bad"]) in captured.out
    assert f"1 of 3 models could not be worked on: {models['bad']}" in captured.err
    if command == "fix":
        assert all(models[name].read_bytes() != hazardous().SerializeToString() for name in ("first", "last"))
    if command == "convert":
        assert all(models[name].with_suffix(".mnn").is_file() for name in ("first", "last"))


@pytest.mark.parametrize("command", COMMANDS)
def test_json_has_a_result_for_each_in_order(
    command: str, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads(run(command, models, "json", capsys).out)["results"]
    assert [each["kind"] for each in results] == [command, "unfinished", command]
    bad = results[1]
    assert bad["source"] == str(models["bad"])
    assert bad["summary"] == {"error": 1, "warning": 0, "info": 0}
    (found,) = bad["diagnostics"]
    assert (found["code"], found["name"], found["severity"]) == ("MNN090", "unreadable-model", "error")
    assert found["message"] == "the file is empty"
    assert found["hint"].startswith("export the model again")
    assert found["location"]["model"] == str(models["bad"])


@pytest.mark.parametrize("command", COMMANDS)
def test_sarif_notifies(command: str, models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (log,) = json.loads(run(command, models, "sarif", capsys).out)["runs"]
    (invocation,) = log["invocations"]
    assert invocation["executionSuccessful"] is False
    (note,) = invocation["toolExecutionNotifications"]
    assert note["descriptor"] == {"id": "MNN090"}
    assert note["level"] == "error"
    assert note["message"]["text"].startswith("the file is empty. ")
    assert note["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("/bad.onnx")
    assert [each["id"] for each in log["tool"]["driver"]["notifications"]] == ["MNN090"]
    assert "MNN090" not in {each["ruleId"] for each in log["results"]}


def test_sarif_of_models_that_could_be_read(models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(models["first"]), "--output-format", "sarif"])
    (log,) = json.loads(capsys.readouterr().out)["runs"]
    assert log["invocations"] == [{"executionSuccessful": True}]


def test_github_annotates(models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    lines = run("check", models, "github", capsys).out.splitlines()
    errors = [line for line in lines if line.startswith("::error ") and "title=MNN001 " not in line]
    assert len(errors) == 1
    assert re.fullmatch(
        r"::error file=[^,:]+/bad\.onnx,title=MNN090 unreadable-model::the file is empty%0Ahint: .+", errors[0]
    )


@pytest.mark.parametrize("output_format", FORMATS)
def test_one_alone(output_format: str, models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(models["bad"]), "--output-format", output_format]) == 2
    captured = capsys.readouterr()
    assert "MNN090" in captured.out
    assert captured.err.splitlines()[0] == f"error: {models['bad']}: the file is empty"


@pytest.mark.parametrize("output_format", FORMATS[1:])
def test_one_alone_whose_inputs_cannot_be_drawn_is_reported_to_programs(
    output_format: str, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> g (float[] x) => (float[] y) { y = Relu(x) }'
    )
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    models["first"].write_bytes(proto.SerializeToString())
    words = ["convert", str(models["first"]), "-o", str(tmp_path / "out.mnn"), "-q"]
    assert main([*words, "--output-format", output_format]) == 2
    captured = capsys.readouterr()
    assert "MNN098" in captured.out
    assert "has no declared rank" in captured.out
    assert main(words) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert "has no declared rank" in captured.err


def test_an_output_that_cannot_be_written_is_reported_among_the_others(
    models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    models["bad"].write_bytes(hazardous().SerializeToString())
    models["bad"].with_suffix(".mnn").mkdir()
    results = json.loads(run("convert", models, "json", capsys).out)["results"]
    assert [each["kind"] for each in results] == ["convert", "unfinished", "convert"]
    assert results[1]["diagnostics"][0]["code"] == "MNN098"
    assert "it is a directory" in results[1]["diagnostics"][0]["message"]


def test_what_nobody_foresaw_is_reported_among_the_others(
    models: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models["bad"].write_bytes(hazardous().SerializeToString())
    real = transaction.fix_model

    def broken(model: Any, **options: Any) -> Any:
        if model.path == models["bad"]:
            raise ZeroDivisionError("planted")
        return real(model, **options)

    monkeypatch.setattr(transaction, "fix_model", broken)
    captured = run("fix", models, "json", capsys)
    results = json.loads(captured.out)["results"]
    assert [each["kind"] for each in results] == ["fix", "unfinished", "fix"]
    assert results[1]["diagnostics"][0]["message"] == "internal error: ZeroDivisionError: planted"
    assert "Traceback" not in captured.err


def test_the_worst_status_counts(models: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    first, last = str(models["first"]), str(models["last"])
    assert main(["check", first, last, "--fail-on", "never"]) == 0
    assert main(["check", first, last]) == 1
    assert main(["check", str(models["bad"]), first, last, "--fail-on", "never"]) == 2
    capsys.readouterr()


def test_the_rules_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for code, name in (("MNN090", "unreadable-model"), ("MNN098", "not-finished")):
        assert main(["rule", code]) == 0
        assert name in capsys.readouterr().out
