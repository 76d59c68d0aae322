"""The form of heads is chosen by what was measured: the rule, the page of MNN801 and `rules/heads.json` agree."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from mnncompat.rewrites.fully_connected.choice import LEAST_AVERAGED, MOST_WEIGHTS
from mnncompat.rewrites.fully_connected.fully_connected_to_convolution import FullyConnectedToConvolution
from mnncompat.support.rule_files import read_json, root

NOISE = 0.02
"""Of a median of ratios, where two forms take the same time."""
HEADS: list[dict[str, Any]] = read_json(root() / "heads.json")["heads"]


def weights(head: dict[str, Any]) -> int:
    sizes = [math.prod(head["features"]), *(int(word) for word in head["layers"].split() if word.isdigit())]
    return sum(inputs * outputs for inputs, outputs in pairwise(sizes))


def has_norm(head: dict[str, Any]) -> bool:
    """A normalisation directly behind a layer."""
    return "norm" in head["layers"]


def is_mean(head: dict[str, Any]) -> bool:
    """A mean over so many positions that a pool is faster."""
    return bool(head["source"] == "mean" and math.prod(head["features"][1:]) >= LEAST_AVERAGED)


def has_light_norm(head: dict[str, Any]) -> bool:
    return has_norm(head) and weights(head) <= MOST_WEIGHTS


def is_chosen(head: dict[str, Any]) -> bool:
    return is_mean(head) or has_light_norm(head)


def is_large(head: dict[str, Any]) -> bool:
    return has_norm(head) and weights(head) > MOST_WEIGHTS


def is_left(head: dict[str, Any]) -> bool:
    return not has_norm(head) and not is_mean(head)


def is_wide(head: dict[str, Any]) -> bool:
    return bool(head["features"][1] > 1) and head["source"] in ("flatten", "nhwc")


def median(form: str, *wanted: Callable[[dict[str, Any]], bool]) -> float:
    return float(
        statistics.median(ratio for head in HEADS if all(each(head) for each in wanted) for ratio in head[form])
    )


def test_they_cover_what_the_rule_is_about() -> None:
    sizes = [head["features"][0] * head["features"][1] * head["features"][2] for head in HEADS]
    assert min(sizes) <= 64
    assert {bool(has_norm(head)) for head in HEADS if is_wide(head)} == {True, False}
    assert {bool(has_norm(head)) for head in HEADS if not is_wide(head)} == {True, False}
    assert {is_mean(head) for head in HEADS} == {True, False}
    assert all(len(head[form]) == 4 for head in HEADS for form in ("original", "spatial", "flat"))


def test_no_head_that_is_rewritten_loses_and_most_gain() -> None:
    gained = [statistics.median(head["flat"]) for head in filter(is_chosen, HEADS)]
    assert min(gained) >= 1 / 1.03
    assert statistics.median(gained) >= 1.05


def test_what_stays_as_it_is_would_not_gain() -> None:
    assert median("flat", is_left) == pytest.approx(1.0, abs=0.03)
    assert median("flat", is_large) == pytest.approx(1.0, abs=0.05)


def test_the_spatial_form_is_never_the_fastest() -> None:
    for head in filter(is_wide, HEADS):
        assert statistics.median(head["spatial"]) < statistics.median(head["flat"]) + NOISE, head


def test_the_page_has_the_figures() -> None:
    page = FullyConnectedToConvolution.__doc__ or ""
    rows = {
        "a mean over 16 or more positions before a layer": is_mean,
        "a normalisation behind a layer": has_light_norm,
        "the same, more than two million weights": is_large,
        "neither": is_left,
    }
    for words, which in rows.items():
        found = re.search(rf"\| {words} \| ([0-9.]+) \| ([0-9.]+) \|", page)
        assert found is not None, words
        assert float(found[1]) == pytest.approx(median("flat", which), abs=0.006)
        wide = [] if which is is_mean else [is_wide]  # over a mean both forms are the same
        assert float(found[2]) == pytest.approx(median("spatial", which, *wide), abs=0.006)
