"""`convert --time`: the latency of the file, and of the model converted as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnncompat import convert
from mnncompat.cli import main
from mnncompat.mnn.timed_rounds import timed_rounds


def test_both_are_timed_in_turn(tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", str(tutorial), "-o", str(tmp_path / "model.mnn"), "--time", "--no-power", "-q"]
    assert main([*words, "--shape", "image:2,1,28,28", "--output-format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    found = result["latency"]
    assert (found["rounds"], found["threads"], found["reason"]) == (20, 1, "")
    assert found["shapes"] == {"image": [2, 1, 28, 28]}
    assert min(found["before"], found["after"]) > 0
    assert found["ratio"] > 0


def test_text_states_how_it_was_measured(tutorial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", str(tutorial), "-o", str(tmp_path / "model.mnn"), "--no-power", "-q"]
    main([*words, "--time"])
    told = capsys.readouterr().out
    assert " ms, before / after " in told
    assert "(medians of 20 runs in turn, 1 thread, image [1, 1, 28, 28])" in told
    main(words)
    assert "runs in turn" not in capsys.readouterr().out, "nobody asked for it"


def test_what_was_not_rewritten_has_nothing_to_compare_with(tutorial_by_hand: Path) -> None:
    found = convert(tutorial_by_hand, None, time=True, power=False).latency
    assert found is not None
    assert (found.before, found.ratio, found.reason) == (None, None, "nothing was rewritten")
    assert found.after


def test_rounds_begin_in_turn_and_stay_in_order() -> None:
    ran: list[str] = []
    found = timed_rounds([lambda: ran.append("a"), lambda: ran.append("b")], 3)
    assert [len(each) for each in found] == [2, 2, 2]
    assert all(seconds >= 0 for each in found for seconds in each)
    parts = [ran[at] for at in range(len(ran)) if at == 0 or ran[at] != ran[at - 1]]
    assert parts == ["a", "b", "a", "b", "a", "b"]
