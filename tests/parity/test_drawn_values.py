"""Drawn values lie in their domain, and show what there is to show."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import Domain
from mnncompat.parity.sampling import DRAWS, MILDEST, describe, sample

SHAPES = st.lists(st.integers(0, 7), max_size=3).map(tuple)


def drawn(domain: Domain, shape: tuple[int, ...], draw: str, seed: int = 0, mild: int = 0) -> np.ndarray:
    return sample(domain, shape, draw, np.random.default_rng(seed), mild=mild)


@given(
    st.sampled_from(
        [
            Kind.IDS,
            Kind.LENGTH,
            Kind.COUNT,
            Kind.SIZE,
            Kind.PIXELS,
            Kind.MASK,
            Kind.TIMESTEP,
            Kind.BOUNDED,
            Kind.PROBABILITY,
        ]
    ),
    st.integers(0, 3),
    st.integers(1, 500),
    SHAPES,
    st.sampled_from(DRAWS),
    st.integers(0, MILDEST),
    st.integers(0, 9),
)
def test_values_lie_within_their_bounds(
    kind: Kind, low: int, width: int, shape: tuple[int, ...], draw: str, mild: int, seed: int
) -> None:
    domain = Domain(kind=kind, low=0, high=1) if kind is Kind.MASK else Domain(kind=kind, low=low, high=low + width)
    if kind is Kind.PROBABILITY:
        domain = Domain(kind=kind, low=low / 600, high=(low + width) / 600)
    if kind is Kind.PIXELS:
        domain = Domain(kind=kind, low=0, high=255)
    values = drawn(domain, shape, draw, seed, mild)
    assert values.shape == shape
    assert np.isfinite(values).all()
    assert (values >= domain.low).all()
    assert (values <= domain.high).all()
    if kind not in (Kind.BOUNDED, Kind.PROBABILITY):
        assert np.array_equal(values, np.floor(values))


def test_the_least_and_the_largest_id_are_among_them() -> None:
    domain = Domain(kind=Kind.IDS, low=0, high=49_999, values=(7,))
    for draw in ("normal", "uniform", "negative", "large"):
        values = drawn(domain, (1, 12), draw)
        assert {0, 7, 49_999} <= set(values.reshape(-1))
        assert len(set(values.reshape(-1))) > 8, "ids are spread over the whole table"


@pytest.mark.parametrize("rows", [2, 65, 1001])
@pytest.mark.parametrize("rounding", [np.trunc, np.floor, np.round])
def test_ids_that_are_multiplied_reach_all_rows(rows: int, rounding: Callable[[np.ndarray], np.ndarray]) -> None:
    domain = Domain(kind=Kind.IDS, low=0, high=1, step=1 / (rows - 1))
    found = set()
    for draw in DRAWS:
        scaled = (drawn(domain, (4, 2 * rows), draw).astype(np.float32) * np.float32(rows - 1)).astype(np.float32)
        found |= set(rounding(scaled).reshape(-1))
    assert {0, rows - 1} <= found <= set(range(rows))
    assert len(found) > 0.9 * rows
    assert describe(domain) == f"ids from 0 to 1 in steps of {domain.step:.3g}" if rows > 2 else "ids below 2"


@given(st.integers(1, 5), st.integers(2, 9), st.integers(0, 20), st.sampled_from(["normal", "uniform", "large"]))
def test_every_row_of_a_mask_has_both_kinds(rows: int, steps: int, seed: int, draw: str) -> None:
    values = drawn(Domain(kind=Kind.MASK, low=0, high=1), (rows, steps), draw, seed)
    assert set(np.unique(values)) == {0, 1}
    assert (values.sum(axis=-1) > 0).all()
    assert (values.sum(axis=-1) < steps).all()


def test_milder_masks_are_of_one_kind_each() -> None:
    domain = Domain(kind=Kind.MASK, low=0, high=1)
    assert drawn(domain, (2, 4), "normal", mild=1).all()
    assert not drawn(domain, (2, 4), "normal", mild=2).any()


def test_a_clip_is_overstepped_once() -> None:
    domain = Domain(kind=Kind.BOUNDED, low=0, high=6, is_clipped=True)
    assert drawn(domain, (200,), "large").max() > 6
    assert drawn(domain, (200,), "large").min() < 0
    assert drawn(domain, (200,), "uniform").max() <= 6


def test_a_scalar_gets_the_value_that_it_is_compared_with() -> None:
    domain = Domain(kind=Kind.INTEGERS, low=0, high=16001, values=(16000, 8000))
    assert {float(drawn(domain, (), draw)) for draw in DRAWS} == {8000, 16000}


@pytest.mark.parametrize("shape", [(9,), (2, 9), (1, 5, 7), (1, 3, 64, 64)])
def test_a_few_large_numbers_are_far_from_zero(shape: tuple[int, ...]) -> None:
    values = drawn(Domain(kind=Kind.NUMBERS), shape, "large")
    assert 200 < np.abs(values).max() <= 255
    assert np.mean(np.abs(values) > 80) <= 2 / 9
    assert np.abs(drawn(Domain(kind=Kind.NUMBERS), shape, "large", mild=1)).max() <= 80


def test_numbers_lie_on_both_sides_of_a_threshold() -> None:
    domain = Domain(kind=Kind.NUMBERS, values=(150, 250))
    for draw in ("normal", "uniform", "large"):
        assert {150, 250} <= set(drawn(domain, (8,), draw).reshape(-1))


def test_states_are_zeros_first_then_small() -> None:
    domain = Domain(kind=Kind.STATE)
    assert not drawn(domain, (2, 40), DRAWS[0]).any()
    assert not drawn(domain, (2, 40), "zeros").any()
    assert 0 < np.abs(drawn(domain, (2, 40), "uniform")).max() < 0.5
    assert 0.5 < np.std(drawn(domain, (2, 40), "large")) < 1.5


def test_clipped_ids_are_overstepped_once() -> None:
    domain = Domain(kind=Kind.IDS, low=0, high=39, is_clipped=True)
    assert drawn(domain, (200,), "large").max() == 49
    assert drawn(domain, (200,), "normal").max() == 39


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (Domain(kind=Kind.IDS, low=0, high=499), "ids below 500"),
        (Domain(kind=Kind.IDS, low=3, high=9), "ids from 3 to 9"),
        (Domain(kind=Kind.MASK, low=0, high=1), "a mask of 0 and 1"),
        (Domain(kind=Kind.PIXELS, low=0, high=255), "pixels from 0 to 255"),
        (Domain(kind=Kind.NUMBERS), "numbers"),
        (Domain(kind=Kind.NUMBERS, values=(150, 250)), "numbers, 150, 250 among them"),
        (Domain(kind=Kind.PROBABILITY, low=0, high=1), "probabilities from 0 to 1"),
        (Domain(kind=Kind.STATE), "states, zeros at first"),
        (Domain(kind=Kind.LENGTH, low=1, high=7), "lengths from 1 to 7"),
        (Domain(kind=Kind.BOUNDED, low=0.5, high=inf), "numbers within bounds from 0.5"),
        (Domain(kind=Kind.INTEGERS, low=0, high=9, values=(4,)), "integers from 0 to 9, 4 among them"),
    ],
)
def test_domains_are_told(domain: Domain, words: str) -> None:
    assert describe(domain) == words
