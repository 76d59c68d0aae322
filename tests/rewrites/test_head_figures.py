"""The form of heads is chosen by what was measured: the rule, the page of MNN801 and `rules/heads.json` agree."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from mnncompat.rewrites.fully_connected.choice import MOST_WEIGHTS
from mnncompat.rewrites.fully_connected.fully_connected_to_convolution import FullyConnectedToConvolution
from mnncompat.support.rule_files import read_json, root

HEADS: list[dict[str, Any]] = read_json(root() / "heads.json")["heads"]


def weights(head: dict[str, Any]) -> int:
    sizes = [math.prod(head["features"]), *(int(word) for word in head["layers"].split() if word.isdigit())]
    return sum(inputs * outputs for inputs, outputs in pairwise(sizes))


def has_norm(head: dict[str, Any]) -> bool:
    """A normalisation directly behind a layer."""
    return "norm" in head["layers"]


def is_chosen(head: dict[str, Any]) -> bool:
    return has_norm(head) and weights(head) <= MOST_WEIGHTS


def is_large(head: dict[str, Any]) -> bool:
    return has_norm(head) and weights(head) > MOST_WEIGHTS


def is_wide(head: dict[str, Any]) -> bool:
    return bool(head["features"][1] > 1)


def median(form: str, *wanted: Callable[[dict[str, Any]], bool]) -> float:
    return float(
        statistics.median(ratio for head in HEADS if all(each(head) for each in wanted) for ratio in head[form])
    )


def test_they_cover_what_the_rule_is_about() -> None:
    sizes = [head["features"][0] * head["features"][1] * head["features"][2] for head in HEADS]
    assert min(sizes) <= 64
    assert {bool(has_norm(head)) for head in HEADS if is_wide(head)} == {True, False}
    assert {bool(has_norm(head)) for head in HEADS if not is_wide(head)} == {True, False}
    assert all(len(head[form]) == 4 for head in HEADS for form in ("original", "spatial", "flat"))


def test_every_head_that_is_rewritten_gains() -> None:
    for head in filter(is_chosen, HEADS):
        assert statistics.median(head["flat"]) >= 1.05, head


def test_what_stays_as_it_is_would_not_gain() -> None:
    assert median("flat", lambda head: not has_norm(head)) == pytest.approx(1.0, abs=0.03)
    assert median("flat", is_large) == pytest.approx(1.0, abs=0.05)


def test_the_spatial_form_is_never_the_fastest() -> None:
    for head in filter(is_wide, HEADS):
        assert statistics.median(head["spatial"]) < statistics.median(head["flat"]), head


def test_the_page_has_the_figures() -> None:
    page = FullyConnectedToConvolution.__doc__ or ""
    rows = {
        "a normalisation behind a layer": is_chosen,
        "the same, more than two million weights": is_large,
        "no normalisation": lambda head: not has_norm(head),
    }
    for words, which in rows.items():
        found = re.search(rf"\| {words} \| ([0-9.]+) \| ([0-9.]+) \|", page)
        assert found is not None, words
        assert float(found[1]) == pytest.approx(median("flat", which), abs=0.006)
        assert float(found[2]) == pytest.approx(median("spatial", which, is_wide), abs=0.006)
