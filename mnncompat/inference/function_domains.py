"""Where functions are defined, and what that says about an input; see `mnncompat.inference.domain_rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

import numpy as np

from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use

Found = Iterator[Use | Claim]
_TIMESTEPS = 1000


def _positive(reading: Reading) -> Found:
    yield from reading.claim(Kind.BOUNDED, 1e-3, inf, f"operand of {reading.node.op_type}")


def _pow(reading: Reading) -> Found:
    exponent = reading.constant(1)
    if reading.position == 0 and exponent is not None and not np.array_equal(exponent, np.floor(exponent)):
        yield from reading.claim(Kind.BOUNDED, 0, inf, f"base of Pow with exponent {float(exponent.reshape(-1)[0]):g}")


def _within_one(reading: Reading) -> Found:
    yield from reading.claim(Kind.BOUNDED, -1, 1, f"operand of {reading.node.op_type}")


def _from_one(reading: Reading) -> Found:
    yield from reading.claim(Kind.BOUNDED, 1, inf, "operand of Acosh")


def _angle(reading: Reading) -> Found:
    """Sine and cosine of a scaled scalar or vector: an embedding of time."""
    if reading.use.scale != 1.0:
        shape = reading.shape(reading.node.input[0])
        if shape is not None and len(shape) <= 3:  # noqa: PLR2004 - batch, steps, frequencies
            yield Claim(Kind.TIMESTEP, 0, _TIMESTEPS - 1, f"{reading.node.op_type} of its multiples")


FUNCTION_DOMAINS: Mapping[str, Callable[[Reading], Found]] = {
    **dict.fromkeys(("Log", "Sqrt", "Reciprocal"), _positive),
    **dict.fromkeys(("Acos", "Asin", "Atanh"), _within_one),
    **dict.fromkeys(("Sin", "Cos"), _angle),
    "Acosh": _from_one,
    "Pow": _pow,
}
"""By op type."""
