"""SECURITY.md states the bounds that the code has."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnncompat.cli import config
from mnncompat.fixing.transaction import _MAX_ROUNDS
from mnncompat.inference.constant_folding import LARGEST_BYTES
from mnncompat.inference.shape_inference import _INFERENCE_ELEMENTS
from mnncompat.inference.shape_propagation import _MOST_ELEMENTS
from mnncompat.inference.size_solver import _MOST_STEPS
from mnncompat.mnn import Limits
from mnncompat.mnn.options import MIB
from mnncompat.parity.feed_functions import MOST
from mnncompat.parity.input_planner import _MOST_PLANS
from mnncompat.parity.memory import DEFAULT_LIMIT
from mnncompat.parity.reference import _PATIENCE
from mnncompat.parity.runners import _MOST_EVALUATED

LIMITS = Limits()
ROWS = {
    "time": f"six tenths of `--timeout`, at most {LIMITS.seconds:g} s",
    "memory": f"{LIMITS.memory_bytes // (1024 * MIB)} GiB, more if `--memory-limit` is more",
    "a file that it writes": f"{LIMITS.file_bytes // (1024 * MIB)} GiB",
    "what it prints": f"{LIMITS.output_bytes // MIB} MiB",
    "a constant that folding keeps": f"{LARGEST_BYTES // MIB} MiB",
    "constants that shape inference is shown": f"{_INFERENCE_ELEMENTS} elements",
    "elements of a computed shape": f"{_MOST_ELEMENTS}",
    "solving for sizes": f"{_MOST_STEPS:,} steps".replace(",", " "),
    "the reference evaluator of ONNX": f"{_MOST_EVALUATED} nodes",
    "looking for a way to feed a model": f"{_PATIENCE:g} s, {_MOST_PLANS} plans",
    "memory of runs at sizes that are chosen": (
        f"`--memory-limit`; half of what is free, at most {DEFAULT_LIMIT / 1e9:g} GB"
    ),
    "rounds of rewriting": f"{_MAX_ROUNDS}",
    "feeds of a `--feeds` function": f"{MOST}",
}


@pytest.fixture
def text(repository: Path) -> str:
    return (repository / "SECURITY.md").read_text()


@pytest.mark.parametrize("what", ROWS)
def test_bounds(what: str, text: str) -> None:
    assert f"| {what} | {ROWS[what]} |" in text


def test_refused_keys(text: str) -> None:
    row = next(line for line in text.splitlines() if line.startswith("| a repository"))
    named = [word for word in row.split("`")[1::2] if word != "pyproject.toml"]
    assert len(named) > 5
    assert set(named) <= set(config._NEVER)


def test_every_named_test_exists(text: str, repository: Path) -> None:
    named = [word for word in text.split("`")[1::2] if word.startswith("tests/")]
    assert len(named) == 5
    assert all((repository / name).is_file() for name in named)


def test_it_is_part_of_the_source_distribution(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    assert "/SECURITY.md" in settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
