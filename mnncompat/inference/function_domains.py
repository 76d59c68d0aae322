"""Where functions are defined, and what that says about an input; see `mnncompat.inference.domain_rules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

import numpy as np

from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use

Found = Iterator[Use | Claim]
_TIMESTEPS = 1000
_EPSILON = 1e-2
"""Largest number that is added to a probability before its logarithm is taken."""


def _positive(reading: Reading) -> Found:
    yield from reading.claim(Kind.BOUNDED, 1e-3, inf, f"operand of {reading.node.op_type}")


def _log(reading: Reading) -> Found:
    """Of a number and an epsilon: a probability, or 1 less a probability; of a number alone: what is above 0."""
    use = reading.use
    offset = use.least if use.least == use.most else inf
    if use.scale == 1 and 0 < offset <= _EPSILON:
        yield from reading.claim(Kind.PROBABILITY, offset, 1 + offset, f"Log of it and {offset:.3g}")
    elif use.scale == -1 and 0 < offset - 1 <= _EPSILON:
        yield from reading.claim(Kind.PROBABILITY, offset - 1, offset, f"Log of 1 less it and {offset - 1:.3g}")
    else:
        yield from _positive(reading)


def _bernoulli(reading: Reading) -> Found:
    yield from reading.claim(Kind.PROBABILITY, 0, 1, "probabilities of Bernoulli")


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
    **dict.fromkeys(("Sqrt", "Reciprocal"), _positive),
    **dict.fromkeys(("Acos", "Asin", "Atanh"), _within_one),
    **dict.fromkeys(("Sin", "Cos"), _angle),
    "Acosh": _from_one,
    "Bernoulli": _bernoulli,
    "Log": _log,
    "Pow": _pow,
}
"""By op type."""
