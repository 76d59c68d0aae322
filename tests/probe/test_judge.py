"""What counts as right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnncompat.probe.case import Case
from mnncompat.probe.judge import _excused, _is_plainly_right, compared, judge
from mnncompat.probe.measurement import Aspect

VALUES = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(np.float32)


def verdict(
    expected: np.ndarray, actual: np.ndarray | None, *, rtol: float = 1e-3, atol: float = 1e-7
) -> tuple[Aspect, str]:
    case = Case(id="here:x", op="X", model=b"", feeds={}, expected={"y": expected}, rtol=rtol, atol=atol)
    return judge(case, {} if actual is None else {"y": actual})


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (VALUES, VALUES.copy()),
        (VALUES, VALUES * np.float32(1.0005)),
        (VALUES.astype(np.float64), VALUES),
        (VALUES.astype(np.float16), VALUES),
        (np.array([2**30, -3]), np.array([2**30, -3], np.int32)),
        (np.array([True, False]), np.array([1, 0], np.int32)),
        (np.array([200, 3], np.uint8), np.array([200, 3], np.int32)),
        (np.array([np.nan, np.inf, 1]), np.array([np.nan, np.inf, 1], np.float32)),
        (np.array([1906.0, 0.0]), np.array([1906.0, 8e-5], np.float32)),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
        (np.float32(2.5).reshape(()), np.array(2.5, np.float32)),
    ],
)
def test_right(expected: np.ndarray, actual: np.ndarray) -> None:
    assert verdict(expected, actual) == (Aspect.NONE, "")


@pytest.mark.parametrize(
    ("expected", "actual", "aspect"),
    [
        (VALUES, None, Aspect.SHAPE),
        (VALUES, VALUES[None], Aspect.SHAPE),
        (np.float32(2.5).reshape(()), np.array([2.5], np.float32), Aspect.SHAPE),
        (np.array([1.0, 2.0]), np.array([1, 2], np.int32), Aspect.DTYPE),
        (np.array([1, 2]), np.array([1, 2], np.float32), Aspect.DTYPE),
        (VALUES, VALUES * np.float32(1.01), Aspect.VALUES),
        (VALUES, VALUES + np.float32(0.01), Aspect.VALUES),
        (VALUES, np.roll(VALUES, 1, axis=1), Aspect.VALUES),
        (VALUES, np.zeros_like(VALUES), Aspect.VALUES),
        (np.array([True, True]), np.array([1, 2], np.int32), Aspect.VALUES),
        (np.array([2**40]), np.array([2**30], np.int32), Aspect.VALUES),
        (np.array([np.nan, 1.0]), np.array([0, 1.0], np.float32), Aspect.VALUES),
        (np.array([np.inf]), np.array([6e37], np.float32), Aspect.VALUES),
        (np.array([1.0, 32.0, 729.0]), np.array([1.4, 32.0, 729.0], np.float32), Aspect.VALUES),
        (np.array([-0.5, 1e5]), np.array([1.0, 1e5], np.float32), Aspect.VALUES),
    ],
)
def test_wrong(expected: np.ndarray, actual: np.ndarray | None, aspect: Aspect) -> None:
    found, detail = verdict(expected, actual)
    assert found is aspect
    assert detail.startswith("y: ")


def test_the_tolerance_of_the_case_is_used() -> None:
    assert verdict(VALUES, VALUES * np.float32(1.01), rtol=0.02)[0] is Aspect.NONE


def test_rounding_of_the_reference_is_not_held_against_mnn() -> None:
    import ml_dtypes

    assert verdict(VALUES.astype(ml_dtypes.bfloat16), VALUES)[0] is Aspect.NONE
    assert verdict(VALUES.astype(ml_dtypes.bfloat16), VALUES * np.float32(1.1))[0] is Aspect.VALUES


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1e-9, 1e-4, 1.0, 1e5]),
    off=st.sampled_from([0.0, 1e-8, 1e-6, 1e-4, 1e-3, 1e-1]),
    rtol=st.sampled_from([1e-3, 1e-1]),
    atol=st.sampled_from([1e-7, 1e-5, 1e-1]),
)
def test_what_is_plainly_right_is_right_by_every_criterion(
    seed: int, size: float, off: float, rtol: float, atol: float
) -> None:
    draw = np.random.default_rng(seed)
    expected = (draw.standard_normal((4, 6)) * size * 10.0 ** draw.integers(-6, 1, (4, 6))).astype(np.float32)
    actual = (expected * (1 + off * draw.standard_normal((4, 6)))).astype(np.float32)
    case = Case(id="here:x", op="X", model=b"", feeds={}, expected={"y": expected}, rtol=rtol, atol=atol)
    if _is_plainly_right(case, expected, actual):
        assert compared(case, expected, actual).problems == ()
        assert _excused(expected, actual) == ()
    else:
        assert off > 0


def test_what_has_no_plain_difference_is_left_to_the_criteria() -> None:
    case = Case(id="here:x", op="X", model=b"", feeds={}, expected={"y": VALUES})
    for expected, actual in (
        (VALUES, None),
        (VALUES, VALUES[0]),
        (VALUES, VALUES.astype(np.int32)),
        (VALUES.astype(np.float16), VALUES),
        (np.full(3, np.inf, np.float32), np.full(3, np.inf, np.float32)),
        (np.array([1, 2]), np.array([1, 3], np.int32)),
    ):
        assert not _is_plainly_right(case, expected, actual)
