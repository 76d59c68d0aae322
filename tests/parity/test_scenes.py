"""Draws for inputs that look like pictures have areas and edges; others do not."""

from __future__ import annotations

import numpy as np
import pytest

from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import Domain
from mnncompat.parity.sampling import sample
from mnncompat.parity.scenes import is_picture, scenes

NUMBERS = Domain(kind=Kind.NUMBERS)
PIXELS = Domain(kind=Kind.PIXELS, low=0, high=255)
BOUNDED = Domain(kind=Kind.BOUNDED, low=-2, high=2)


def uniform(domain: Domain, *shape: int, seed: int = 0) -> np.ndarray:
    return sample(domain, shape, "uniform", np.random.default_rng(seed))


def is_smooth(picture: np.ndarray) -> bool:
    """True if most neighbours along both axes are alike, and some are not: areas and edges."""
    found = []
    for axis in (-1, -2):
        steps = np.abs(np.diff(picture, axis=axis))
        found.append(np.median(steps) < 0.15 * picture.std() and np.quantile(steps, 0.999) > picture.std())
    return all(found)


@pytest.mark.parametrize("domain", [NUMBERS, PIXELS, BOUNDED])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_has_the_shape_of_pictures_is_a_scene(domain: Domain, channels: int) -> None:
    first, last = uniform(domain, 2, channels, 64, 80), uniform(domain, 2, 64, 80, channels)
    assert is_smooth(first)
    assert is_smooth(np.moveaxis(last, -1, 1))
    assert not np.array_equal(first[0], first[1]), "every picture of a batch is another one"


@pytest.mark.parametrize("shape", [(2, 16, 64, 64), (3, 64, 64), (1, 3, 8, 64), (1, 12, 64), (64, 64), (0, 3, 32, 32)])
def test_other_shapes_are_not(shape: tuple[int, ...]) -> None:
    assert not is_picture(shape)
    values = uniform(NUMBERS, *shape)
    assert values.shape == shape
    assert values.size == 0 or not is_smooth(values)


@pytest.mark.parametrize("seed", range(20))
def test_a_scene_uses_its_range(seed: int) -> None:
    values = scenes((1, 3, 160, 160), np.random.default_rng(seed))
    assert values.min() >= 0
    assert values.astype(np.float32).max() < 1
    assert np.ptp(values) > 0.8
    assert values.std() > 0.15


def test_the_other_draws_stay_noise() -> None:
    for draw in ("normal", "negative", "large"):
        assert not is_smooth(sample(NUMBERS, (1, 3, 64, 64), draw, np.random.default_rng(0)))


def test_the_same_seed_gives_the_same_scene() -> None:
    np.testing.assert_array_equal(uniform(NUMBERS, 1, 3, 32, 32), uniform(NUMBERS, 1, 3, 32, 32))
    assert not np.array_equal(uniform(NUMBERS, 1, 3, 32, 32), uniform(NUMBERS, 1, 3, 32, 32, seed=1))


def test_the_least_pictures_are_drawn() -> None:
    for size in [(16, 16), (16, 500), (500, 16)]:
        assert np.isfinite(scenes((1, 1, *size), np.random.default_rng(0))).all()
