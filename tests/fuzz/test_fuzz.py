"""A slice of the fuzzer with fixed seeds, at most a minute; `make fuzz` runs more."""

from __future__ import annotations

import pytest
from fuzz import run
from fuzz_corpus import examples
from fuzz_mutants import mutant

SEED = 11
SECONDS = 35.0


def test_the_corpus_is_large() -> None:
    assert len(set(examples())) >= 400


def test_a_mutant_depends_on_its_seed_and_number_alone() -> None:
    models = examples()
    made = [mutant(models, SEED, number) for number in range(40)]
    assert [mutant(models, SEED, number) for number in reversed(range(40))] == made[::-1]
    assert len(set(made)) > 30
    assert mutant(models, SEED + 1, 0) != made[0]


def test_mutants_break_nothing() -> None:
    """As many as the time allows: a slow machine runs fewer, none runs less than a few dozen."""
    found = run({"check": 300, "fix": 60}, SEED, SECONDS, quick=True, keep=None, only=None)
    assert not found.errors, found.text()
    assert found.runs.total() > 20


@pytest.mark.parametrize("broken", ["hang", "memory", "error"])
def test_the_fuzzer_notices(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that hangs, takes all memory or raises is found and counted, and the next command runs."""
    import fuzz

    monkeypatch.setattr(fuzz, "SECONDS", 2.0 if broken == "hang" else 60.0)  # memory fills slowly on a busy machine
    monkeypatch.setattr(fuzz, "BYTES", 600_000_000)
    monkeypatch.setenv("FUZZ_BREAK", broken)
    found = run({"check": 2}, SEED, SECONDS, quick=True, keep=None, only=None)
    expected = {"hang": "check: hang", "memory": "check: memory", "error": "check: ZeroDivisionError"}[broken]
    assert found.runs["check"] == 2
    assert len(found.errors) == 1
    assert next(iter(found.errors)).startswith(expected)
