"""When the outputs of a micro-model are right.

Shapes must be equal. A float output must be float, and an integer or boolean one integer or boolean (MNN has int32 for
int64 and bool, float32 for double and float16). Integers must be equal. For floats the criterion is that of whole
models, `mnncompat.parity.tolerance`, so that the probe and a conversion agree about what is right:

    |actual - expected| <= atol + rtol * (|expected| + max(s, FLOOR * g))

with the tolerances of ONNX's own backend tests, rtol = 1e-3 and atol = 1e-7. ONNX's criterion has no `s`, the RMS of
elements that were computed in the same way. Of about 900 correct node tests it would fail: zeros of two STFTs of
amplitude 2000 that come out as 8e-5, an element of Mish and one of a float16 attention at 1.04 and 1.01 of the
allowance, and GELU, which MNN approximates (off by 5e-4 at most, as large as its smallest values). None of these
matters in a model's output. No float result lies between 0.6 of this criterion and 9 times it. (Measured: MNN 3.6.1,
node tests.)

`s` has one weakness: if an operator's outputs are of very different size, the large ones excuse the small ones (of
the results 1, 32 and 729 of a power, the 1 may be 1.4). So an element is also wrong when it is off by more than 5 % of
itself and by more than an approximation or rounding can explain: 1e-3, and 1e-5 of the largest element.

float16 results are rounded to 11 bits by the reference and bfloat16 results to 8, not by MNN: rtol is at least two
units in the last place of the expected dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.parity import Tolerance, compare
from mnncompat.probe.measurement import Aspect
from mnncompat.results.parity_report import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.probe.case import Case

_SHARE, _APPROXIMATION, _ROUNDING = 0.05, 1e-3, 1e-5
# Rounding has a long tail, see `mnncompat.parity.tolerance`; nothing of fewer than 200 elements has outliers.
_OUTLIERS = 0.005
_WHOLE, _FLOATS = "biu", ("float32", "float64")
_LAST_PLACES = {"float16": 2 * 2.0**-10, "bfloat16": 2 * 2.0**-7}


def judge(case: Case, outputs: Mapping[str, np.ndarray], *, rough: Tolerance | None = None) -> tuple[Aspect, str]:
    """What is wrong about the outputs of a case.

    Args:
        case: One that has expected outputs.
        outputs: Output name -> the array that MNN returned.
        rough: By which a floating-point output may agree instead: that of half precision.

    Returns:
        The aspect of the first output that is wrong, and one line about it; `Aspect.NONE` when all are right.
    """
    for name, expected in (case.expected or {}).items():
        actual = outputs.get(name)
        if _is_plainly_right(case, expected, actual):
            continue
        comparison = compared(case, expected, actual)
        problems = comparison.problems or (_excused(expected, actual) if np.isfinite(case.atol) else ())
        if problems and rough is not None and expected.dtype.kind == "f":
            problems = compare(expected.astype(np.float32), actual, rough).problems
        if problems:
            return _aspect(comparison), f"{name}: {'; '.join(problems)}"
    return Aspect.NONE, ""


def _is_plainly_right(case: Case, expected: np.ndarray, actual: np.ndarray | None) -> bool:
    """Whether an output is right whatever the scale: a shortcut for the full criterion, which costs many times more.

    Half of each allowance, so that their sum is below the larger one; float32 is exact enough for that.
    """
    if actual is None or actual.shape != expected.shape:
        return False
    if expected.dtype.kind in _WHOLE and actual.dtype.kind in _WHOLE:
        return np.array_equal(expected, actual)
    if expected.dtype.name not in _FLOATS or actual.dtype.name not in _FLOATS:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        allowed = np.abs(expected) * np.float32(min(case.rtol, _SHARE) / 2) + np.float32(
            min(case.atol, _APPROXIMATION) / 2
        )
        return bool(np.all(np.isfinite(expected)) and np.all(np.abs(actual - expected) <= allowed))


def compared(case: Case, expected: np.ndarray, actual: np.ndarray | None) -> Comparison:
    """One output against what is expected, by the criterion of whole models."""
    rtol = max(case.rtol, _LAST_PLACES.get(expected.dtype.name, 0.0))
    wanted = np.asarray(expected, np.float32) if expected.dtype.name in _LAST_PLACES else expected
    return compare(wanted, actual, Tolerance(rtol=rtol, atol=case.atol, outliers=_OUTLIERS))


def _excused(expected: np.ndarray, actual: np.ndarray | None) -> tuple[str, ...]:
    """Small elements that are wrong beside large ones. Shapes are equal, NaN and infinities in the same positions."""
    if actual is None or actual.dtype.kind != "f" or expected.size == 0:
        return ()
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(wanted) & np.isfinite(found)
    wanted, found = np.where(finite, wanted, 0.0), np.where(finite, found, 0.0)
    size = np.abs(wanted)
    allowed = np.maximum(_SHARE * size, max(_APPROXIMATION, _ROUNDING * float(size.max())))
    beyond = np.abs(found - wanted) - allowed
    if np.count_nonzero(beyond > 0) <= _OUTLIERS * beyond.size:
        return ()
    worst = int(np.argmax(beyond))
    return (f"small elements wrong beside large ones: {found.flat[worst]:.6g} instead of {wanted.flat[worst]:.6g}",)


def _aspect(comparison: Comparison) -> Aspect:
    if comparison.actual_shape != comparison.expected_shape:
        return Aspect.SHAPE
    kinds = {"b": "i", "u": "i"}
    expected, actual = np.dtype(comparison.expected_dtype).kind, np.dtype(comparison.actual_dtype).kind
    return Aspect.VALUES if kinds.get(expected, expected) == kinds.get(actual, actual) else Aspect.DTYPE
