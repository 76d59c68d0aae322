"""The confusion matrix of verdicts and outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from models import model_of
from onnx import helper

from mnncompat.checking.score import Score, judged
from mnncompat.cli import main
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Measurement, Outcome


def case(name: str, op: str) -> Case:
    model = model_of([helper.make_node(op, ["x"], ["y"])], {"x": [2, 8]}, {"y": [2, 8]}, {})
    return Case(id=name, op=op, model=model.SerializeToString(), feeds={}, expected={})


def measured(name: str, op: str, outcome: Outcome) -> Measurement:
    return Measurement(id=name, op=op, outcome=outcome)


@pytest.mark.parametrize(
    ("op", "outcome", "missed", "false_alarms"),
    [
        ("Relu", Outcome.OK, 0, 0),
        ("Relu", Outcome.WRONG, 1, 0),
        ("Relu", Outcome.CRASH, 1, 0),
        ("Hardmax", Outcome.REFUSED, 0, 0),
        ("Hardmax", Outcome.OK, 0, 1),
    ],
)
def test_the_four_fields(op: str, outcome: Outcome, missed: int, false_alarms: int) -> None:
    score = Score(judgements=tuple(judged([case("a", op)], {"a": measured("a", op, outcome)}, "3.6.1")))
    assert (len(score.missed), len(score.false_alarms)) == (missed, false_alarms)


def test_what_was_not_measured_is_not_judged() -> None:
    assert list(judged([case("a", "Relu")], {}, "3.6.1")) == []


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--corpus", "converted", "--mnn", "3.6.1"]) == 0
    assert "82 cases: agreement" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--mnn", "0.2.0.4"], "there is no evidence"),
        (["--corpus", "nope"], "there is no corpus"),
        (["--measure", "--mnn", "3.6.1"], "--measure uses the installed MNN"),
        (["--mnn", "3.6.1", "--op", "NoSuchOperator"], "ONNX has no operator 'NoSuchOperator'"),
        (["--mnn", "3.6.1", "--op", "RandomNormal"], "nothing to judge"),
        (["--output-format", "xml"], "unknown output format"),
    ],
)
def test_bad_input(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *words]) == 2
    assert expected in capsys.readouterr().err


def test_evidence_of_a_file(tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = repository / "rules" / "evidence" / "3.0.0-x86_64.tsv"
    (tmp_path / "copy.tsv").write_bytes(source.read_bytes())
    words = ["score", "--evidence", str(tmp_path / "copy.tsv"), "--corpus", "simple", "--output-format", "json"]
    assert main(words) == 0
    assert '"mnn": "3.0.0"' in capsys.readouterr().out


def test_in_half_precision_a_warning_agrees_with_both_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [helper.make_node("ReduceProd", ["x"], ["y"], axes=[0, 1], keepdims=1)]
    model = model_of(nodes, {"x": [2, 8]}, {"y": [1, 1]}, {}, opset=13)
    product = Case(id="a", op="ReduceProd", model=model.SerializeToString(), feeds={}, expected={})
    for outcome in (Outcome.OK, Outcome.WRONG):
        found = {"a": measured("a", "ReduceProd", outcome)}
        (low,) = judged([product], found, "3.6.1", arch="aarch64", precision="low")
        assert (low.codes, low.warnings, low.agrees) == ((), ("MNN273",), True)
        (high,) = judged([product], found, "3.6.1", arch="aarch64")
        assert (high.warnings, high.agrees) == ((), outcome is Outcome.OK)
    words = [
        "score",
        "--device",
        "arm64",
        "--precision",
        "low",
        "--mnn",
        "3.6.1",
        "--op",
        "GridSample",
        "--corpus",
        "node",
    ]
    assert main(words) == 0
    assert "9 have a warning" in capsys.readouterr().out
    assert main(["score", "--device", "ssh:board", "--mnn", "3.6.1"]) == 2
    assert "there is no evidence of ssh:board high" in capsys.readouterr().err
