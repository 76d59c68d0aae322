"""Nodes that several processes want to know of are measured once, and whoever asks is told exactly the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from mnncompat.checking.kept_measurements import KeptMeasurements
from mnncompat.fleet.processes import in_parallel
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Aspect, Measurement, Outcome

HEADER = {"mnn": "3.6.1", "machine": "x86_64", "cpu": "A"}
CASES = [Case(id=f"measured:{name}", op="Conv", model=b"", feeds={}, expected={}) for name in "abcdefgh"]


def measured(case: Case, *, detail: str = "0.5 of 2") -> Measurement:
    return Measurement(id=case.id, op=case.op, outcome=Outcome.WRONG, aspect=Aspect.VALUES, detail=detail)


def never(some: Sequence[Case]) -> Iterable[Measurement]:
    assert not some
    return ()


def test_each_is_measured_once_by_whoever_is_first(tmp_path: Path) -> None:
    def work(path: Path) -> dict[str, Measurement]:
        def measure(some: Sequence[Case]) -> Iterable[Measurement]:
            for each in some:
                with (tmp_path / "log").open("a") as log:
                    log.write(f"{each.id}\n")
                time.sleep(0.02)
                yield measured(each)

        kept = KeptMeasurements(tmp_path / "cache", HEADER)
        kept.complete(CASES if path.name in "02" else CASES[::-1], measure)
        return kept.found

    found = [each for each, _ in in_parallel([Path(each) for each in "0123"], work, 4)]
    assert sorted((tmp_path / "log").read_text().split()) == [each.id for each in CASES]
    assert found == [found[0]] * 4
    assert set(found[0] or {}) == {each.id for each in CASES}


def test_who_ends_while_it_measures_is_replaced(tmp_path: Path) -> None:
    def work(path: Path) -> int:
        def measure(some: Sequence[Case]) -> Iterable[Measurement]:
            (tmp_path / "begun").touch()
            if path.name == "first":
                time.sleep(0.3)
                os._exit(1)
            return map(measured, some)

        while path.name != "first" and not (tmp_path / "begun").exists():
            time.sleep(0.01)
        kept = KeptMeasurements(tmp_path / "cache", HEADER)
        kept.complete(CASES, measure)
        return len(kept.found)

    found = [each for each, _ in in_parallel([Path("first"), Path("second")], work, 2)]
    assert found == [None, len(CASES)]


@pytest.mark.parametrize("detail", ["", "0.5 of 2", "a\tb", "\u202e"])
def test_a_hit_is_what_a_miss_was(detail: str, tmp_path: Path) -> None:
    miss, hit = KeptMeasurements(tmp_path, HEADER), KeptMeasurements(tmp_path, HEADER)
    miss.complete(CASES, lambda some: [measured(each, detail=detail) for each in some])
    hit.complete(CASES, never)
    assert [(name, repr(each)) for name, each in hit.found.items()] == [
        (name, repr(each)) for name, each in miss.found.items()
    ]


def test_other_machines_and_releases_have_files_of_their_own(tmp_path: Path) -> None:
    for header in (HEADER, {**HEADER, "cpu": "B"}, {**HEADER, "mnn": "3.0.0"}, {**HEADER, "precision": "low"}):
        kept = KeptMeasurements(tmp_path, header)
        assert not kept.found
        kept.complete(CASES[:1], lambda some: map(measured, some))
    assert len(list(tmp_path.glob("*.tsv"))) == 4
    assert KeptMeasurements(tmp_path, HEADER).found


@pytest.mark.parametrize("folder", [None, Path("/proc/nothing")])
def test_where_nothing_can_be_kept_it_is_measured_all_the_same(folder: Path | None) -> None:
    kept = KeptMeasurements(folder, HEADER)
    kept.complete(CASES, lambda some: map(measured, some))
    assert len(kept.found) == len(CASES)
