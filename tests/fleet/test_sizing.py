"""How long campaigns will take on so many workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnncompat.cli import main
from mnncompat.errors import ModelError
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.results_folder import ResultsFolder
from mnncompat.fleet.sizing import drawn, forecasts, usual
from mnncompat.fleet.tasks import Task


def test_more_workers_are_faster_until_handing_out_is_all_that_is_done() -> None:
    times = drawn(usual(0.35), 10_000, seed=0)
    one, eight, many, more = forecasts(times, (1, 8, 64, 512), hours=24, seed=0)
    assert 0.9 < one.busy < 1
    assert 7 < one.seconds / eight.seconds < 8.1
    assert one.seconds / many.seconds > 40
    assert more.client > 0.8
    assert more.seconds > 10_000 * 0.001


def test_what_is_lost_is_done_again() -> None:
    times = [1.0] * 500
    (steady,) = forecasts(times, (4,), hours=1e9, seed=0)
    (shaken,) = forecasts(times, (4,), hours=0.05, seed=0)
    assert (steady.lost, shaken.lost > 0) == (0, True)
    assert shaken.seconds > steady.seconds
    assert steady.busy * steady.seconds * 4 == pytest.approx(500)
    assert shaken.busy * shaken.seconds * 4 == pytest.approx(500)  # nothing twice, nothing left out


def test_a_plan_from_the_times_of_a_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = Task(command="check", path="a", digest="0" * 64, size=7, options={}, release="3.6.1", tool="t")
    ResultsFolder(tmp_path / "kept").keep(task, Answer(error=ModelError("bad", hint="mend it"), seconds=2.0))
    assert main(["fleet", "plan", str(tmp_path / "kept"), "--models", "100", "--workers", "4"]) == 0
    said = capsys.readouterr().out
    assert "100 models, 2 s each on one worker" in said
    assert said.splitlines()[-1].split()[:3] == ["4", "53", "s"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nowhere"],
        [".", "--seconds", "1"],
        ["--seconds", "nan"],
        ["--seconds", "0"],
        ["--seconds", "1", "--workers", "0"],
    ],
)
def test_what_is_no_plan_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "plan", *words]) == 2
    assert "internal error" not in capsys.readouterr().err
