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
