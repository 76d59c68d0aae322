"""A few elements beyond their tolerance are excused where rounding explains them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from mnncompat.parity import FLOAT32
from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.judge import Judge
from mnncompat.parity.outliers import FEWEST, MOST, systematic

DRAWS = ("normal", "uniform", "negative", "zeros", "large")
IMAGE = (1, 4, 24, 40)


def outputs(shape: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    draws = np.random.default_rng(seed)
    return [draws.standard_normal(shape).astype(np.float32) + 3 for _ in DRAWS]


def passes(expected: list[np.ndarray], actual: list[np.ndarray]) -> tuple[bool, str]:
    """The verdict where Monte Carlo arithmetic is not run, and the first problem."""
    feeds = [NamedFeeds(name=name, arrays={}) for name in DRAWS[: len(expected)]]
    (found,) = Judge({"y": FLOAT32}).outputs(
        feeds, [{"y": each} for each in expected], [{"y": each} for each in actual]
    )
    return found.passed, found.problems[0] if found.problems else ""


def masks(shape: tuple[int, ...], count: int = 5) -> list[np.ndarray]:
    return [np.zeros(shape, bool) for _ in range(count)]


def test_one_class_of_a_thousand_is_no_outlier() -> None:
    expected = outputs((1, 1000))
    actual = [each * np.where(np.arange(1000) == 37, np.float32(1.02), 1) for each in expected]
    passed, problem = passes(expected, actual)
    assert not passed
    assert "it fills index 37 along axis 1" in problem


def test_the_border_column_of_two_channels_is_no_outlier() -> None:
    expected = outputs((1, 16, 24, 40))
    wrong = np.ones((1, 16, 24, 40), np.float32)
    wrong[:, 2:4, :, -1] = 1.02
    passed, problem = passes(expected, [each * wrong for each in expected])
    assert not passed
    assert "it fills index 2 along axis 1, 39 along axis 3" in problem


def test_scattered_elements_are_outliers_in_one_draw_and_not_at_the_same_places_in_all() -> None:
    expected = outputs(IMAGE)
    places = np.random.default_rng(1).random((len(DRAWS), *IMAGE)) < FLOAT32.outliers / 2
    actual = [np.where(where, each * np.float32(1.01), each) for each, where in zip(expected, places, strict=True)]
    assert passes(expected, actual)[0]
    same = [np.where(places[0], each * np.float32(1.01), each) for each in expected]
    passed, problem = passes(expected, same)
    assert not passed
    assert "no rounding, it fills index" in problem


def test_too_many_too_far_and_too_few_elements_have_no_outliers() -> None:
    expected = outputs(IMAGE)
    draws = np.random.default_rng(2)
    many = [np.where(draws.random(IMAGE) < 2 * MOST, each * np.float32(1.01), each) for each in expected]
    assert not passes(expected, many)[0]
    far = [each.copy() for each in expected]
    far[4][0, 1, 2, 3] *= 1.5
    assert not passes(expected, far)[0]
    small = outputs((1, FEWEST - 1))
    one = [each.copy() for each in small]
    one[4][0, 3] *= 1.02
    assert not passes(small, one)[0]


@pytest.mark.parametrize(
    ("shape", "place", "words"),
    [
        ((3, 10, 20), np.s_[:, 3], "3 along axis 1"),
        ((3, 10, 20), np.s_[1, :, 7], "1 along axis 0, 7 along axis 2"),
        ((3, 10, 20), np.s_[1, 2, 7], "1 along axis 0, 2 along axis 1, 7 along axis 2"),
    ],
)
def test_what_is_filled_in_every_draw_is_systematic(
    shape: tuple[int, ...], place: tuple[int | slice, ...], words: str
) -> None:
    found = masks(shape)
    for each in found:
        each[place] = True
    assert words in systematic(found)
    assert not systematic([*found[:1], *masks(shape, 4)]), "a small group in one draw of several is a blot"


def test_a_long_row_of_one_draw_is_systematic() -> None:
    found = masks((1, 3, 100, 100))
    found[2][0, 1, 5, :80] = True
    assert "5 along axis 2" in systematic(found)


def test_draws_of_other_shapes_are_apart() -> None:
    one, two = np.zeros((1, 300), bool), np.zeros((2, 300), bool)
    one[0, 5] = two[0, 5] = two[1, 9] = True
    assert not systematic([one, two])
    assert not systematic([])
