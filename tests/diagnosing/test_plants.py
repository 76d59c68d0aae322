"""The node with a planted fault is named first: a part of `make plants` with fixed seeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plant_models import MODELS
from plant_suite import FIRST, LATER, NONE, OTHER, UNSEEN, Tried, table, tried
from splices import cases

from mnncompat.diagnosing.lanes import Lanes

SLICE = {"two-branches": (5, 2), "with-if": (6, 3), "with-loop": (5, 1), "tutorial": (4, 2)}


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    """MNN's processes, started once."""
    with Lanes(side_by_side=False) as started:
        yield started


@pytest.mark.parametrize("name", SLICE)
def test_the_node_with_the_fault_is_named_first(name: str, lanes: Lanes) -> None:
    plants, splices = SLICE[name]
    rows = list(tried(name, plants=plants, splices=splices, seed=1, lanes=lanes))
    assert not [row for row in rows if row.outcome in (LATER, OTHER, NONE)], table(rows)
    assert len([row for row in rows if row.outcome == FIRST]) >= plants - 1, table(rows)


def test_the_suite_has_what_it_claims() -> None:
    assert len(MODELS) >= 20
    assert sum(each.plants + each.splices for each in MODELS.values()) >= 250
    assert len(cases()) >= 100


def test_the_table_counts() -> None:
    rows = [
        Tried("a", "weights", "c", FIRST, "conv", 1.0),
        Tried("a", "spliced", "row:Mod/MNN231", OTHER, "relu", 1.0),
        Tried("b", "bias", "d", UNSEEN, "agrees", 1.0),
    ]
    found = table(rows).splitlines()
    assert found[0].split() == ["a", "weights", "named", "first", "1.0", "s", "c", "conv"]
    assert found[-1].split() == ["50.0%", "of", "2", "in", "2", "models", "named", "first"]
