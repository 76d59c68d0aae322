"""`mnncompat probe`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnncompat.cli import Interrupted, main
from mnncompat.probe.evidence import read_evidence
from mnncompat.probe.pool import Pool


def test_it_measures_counts_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.tsv"
    corpora = ["--corpus", "node", "--corpus", "node-const"]
    assert main(["probe", "--op", "Hardmax", "--op", "Gemm", *corpora, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].split()[0] == "operator"
    assert [line.split()[0] for line in lines[1:4]] == ["Gemm", "Hardmax", "total"]
    header, found = read_evidence(out)
    assert lines[4].startswith(f"MNN {header['mnn']} on {header['machine']}: {len(found)} cases")
    assert found["node:test_hardmax_axis_0"].code == "refused@convert"
    assert found["node:test_gemm_default_no_bias"].code == "ok"


def test_json_holds_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--op", "Relu", "--op", "Hardmax", "--output-format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == "1.0"
    assert document["ops"]["Relu"] == {"ok": 2}
    found = {each["case"]: each for each in document["measurements"]}
    assert found["node:test_hardmax_axis_0"]["outcome"] == "refused"
    assert found["node:test_relu"] == {
        "case": "node:test_relu",
        "op": "Relu",
        "outcome": "ok",
        "stage": "",
        "cause": "",
        "aspect": "",
        "unstable": False,
        "detail": "",
    }


def test_a_case_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "node:test_hardmax_axis_0"]) == 0
    shown = capsys.readouterr().out
    for part in ("Hardmax <axis: int = 0> (x)", "feed x: float32[3, 4, 5]", "measurement 2:", "refused@convert"):
        assert part in shown
    assert main(["probe", "node:test_abs"]) == 0
    assert "  right\n" in capsys.readouterr().out


def test_an_interruption_keeps_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out.tsv", Pool.measure

    def interrupted(self: Pool, cases: Iterator[object]) -> Iterator[object]:
        measuring = whole(self, cases)  # type: ignore[arg-type]
        yield next(measuring)
        raise Interrupted

    words = ["probe", "--op", "Gemm", "--jobs", "1", "--out", str(out)]
    monkeypatch.setattr(Pool, "measure", interrupted)
    assert main(words) == 2
    assert f"interrupted: 1 cases measured; {out} keeps them" in capsys.readouterr().err
    before = read_evidence(out)[1]
    assert len(before) == 1
    monkeypatch.setattr(Pool, "measure", whole)
    assert main([*words, "--resume"]) == 0
    after = read_evidence(out)[1]
    assert len(after) > 5
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--corpus", "nodes"], "there is no corpus 'nodes'"),
        (["--resume"], "--resume without --out"),
        (["--output-format", "sarif"], "unknown output format: sarif"),
        (["node:test_relu", "--scheduler", "tcp://x:1"], "--scheduler is about the cases of a corpus"),
        (["--fix", "--scheduler", "tcp://x:1"], "--scheduler is about the cases of a corpus"),
        (["--code", "MNN774"], "there is no micro-model of a row 'MNN774'"),
        (["node:test_nothing"], "there is no case 'node:test_nothing'"),
        (["--python", "/nothing/python", "--op", "Relu"], "/nothing/python cannot be started"),
        (
            ["--out", "/nothing/out.tsv", "--op", "Relu"],
            "cannot write /nothing/out.tsv: the folder /nothing does not exist",
        ),
    ],
)
def test_bad_input_is_a_message(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error: {message}" in captured.err
