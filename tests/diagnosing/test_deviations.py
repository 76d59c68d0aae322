"""Numbers of any size are judged: infinite ones beside others whose squares are infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mnncompat.diagnosing.deviations import deviation
from mnncompat.parity import FLOAT32

HUGE = 3e38


@pytest.mark.parametrize(
    ("expected", "actual", "problem"),
    [
        ([1, 2, 3], [math.inf, 2, HUGE], "+Inf in 1 elements instead of 0"),
        ([math.inf, HUGE], [math.inf, 1], ""),
        ([1, math.nan, HUGE], [1, math.nan, 1], ""),
        ([0, 0], [math.nan, HUGE], "NaN in 1 elements instead of 0"),
        ([1e-30, 1e-42], [HUGE, 1], ""),
    ],
)
def test_huge_numbers_beside_infinite_ones_are_wrong(expected: list[float], actual: list[float], problem: str) -> None:
    found = deviation(np.array(expected, np.float32), np.array(actual, np.float32), FLOAT32)
    assert found.is_wrong
    assert found.problem == problem
    assert found.snr_db < 1
    assert found.max_abs > 1e38


def test_what_is_infinite_on_both_sides_is_right() -> None:
    array = np.array([math.inf, HUGE, math.nan, -math.inf, 1], np.float32)
    found = deviation(array, array * np.float32(1.0), FLOAT32)
    assert not found.is_wrong
    assert found.snr_db == math.inf


def test_double_numbers_whose_squares_overflow_have_a_ratio() -> None:
    found = deviation(np.array([1.0, 1.0]), np.array([1e300, 1.0]), FLOAT32)
    assert found.is_wrong
    assert found.snr_db == -math.inf
