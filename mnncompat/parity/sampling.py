"""Values for one input, in the domain that the graph gives it (`mnncompat.inference.input_domains`).

A draw has a name, and each kind of input has a form of it:

============  ==============================  ======================  ===================  ======================
draw          numbers                         pixels                  ids, integers        masks
============  ==============================  ======================  ===================  ======================
``normal``    N(0, 1)                         N(128, 48), cut         any of them          ones, then zeros
``uniform``   [0, 1)                          0 .. 255                any of them          any, none of one kind
``negative``  -|N(0, 1)|                      dark: 0 .. 63           any of them          ones, then zeros
``zeros``     0                               0                       the least            all ones
``large``     16 * N(0, 1), cut at 80         0 and 255               any of them          ones, then zeros
============  ==============================  ======================  ===================  ======================

Numbers within bounds are spread over the bounds, and a quarter beyond them where the bound is that of a Clip. The least
and the largest id are always among the ids, so are values that the graph compares with, and numbers on both sides of a
threshold. Every row of a mask has both kinds of elements, as far as it has two: a row of one kind makes a softmax of
nothing. Probabilities are spread over 0 to 1, below a quarter in ``negative``, near both ends in ``large``.
States are zeros in ``normal`` and ``zeros``, as they are at first, N(0, 1) in ``large`` and N(0, 0.1) in the others.

In ``large`` one number in 512 lies between -255 and 255, and one at least near either end, so that a bound that only
pixels reach is met. If all of them did, the draw would measure how a deep net amplifies rounding: with one in 64, text
detection (PP-OCRv4) is out of tolerance with 4 of 20 seeds, with one in 512 or none with no seed.

An input of the shape of pictures is a scene in ``uniform``, within the same bounds: see `mnncompat.parity.scenes`.

Mild draws are the fall-back where a draw makes the reference infinite or NaN: numbers are cut at 80, whose exponential
is finite in float32, and then at 4; masks are all ones, all zeros, or mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, inf, isinf, prod

import numpy as np
from numpy.typing import NDArray

from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import UNKNOWN_HIGH, Domain
from mnncompat.parity.scenes import is_picture, scenes

DRAWS = ("normal", "uniform", "negative", "zeros", "large")
"""Names of the draws."""
MILDEST = 3
"""How often a draw may be made milder."""
_LARGE = ((16.0, 80.0), (16.0, 80.0), (4.0, 4.0), (1.0, 1.0))
"""Scale and cut of ``large``, by mildness."""
_FARTHEST, _FAR_SHARE, _NEAR_END = 255.0, 1 / 512, 0.9
_ROOM = 4
"""Number of elements from which on one of them is far from zero; from twice as many on, two are."""
_SMALL = 0.1
"""Standard deviation of the states of most draws."""
_BEYOND = 0.25
_ABOVE = 0.25

Random = np.random.Generator
Shape = tuple[int, ...]
Values = NDArray[np.float64]


def sample(domain: Domain, shape: Shape, draw: str, random: Random, *, mild: int = 0) -> Values:
    """Values of one input, as float64; the caller casts them.

    Args:
        domain: What the values are.
        shape: Of the input.
        draw: One of `DRAWS`.
        random: Source of the values.
        mild: 0 for the draw as it is, up to `MILDEST` for forms that are less likely to overflow.
    """
    return _SAMPLERS[domain.kind](domain, shape, draw, random, mild)


def _numbers(domain: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    match draw:
        case "uniform":
            found = _evenly(shape, random)
        case "negative":
            return -np.abs(random.standard_normal(shape)) / (1 + mild)
        case "zeros":
            return np.zeros(shape) if mild == 0 else np.full(shape, 1e-3 * mild)
        case "large":
            scale, cut = _LARGE[mild]
            found = np.clip(scale * random.standard_normal(shape), -cut, cut)
            found = found if mild else _with_far(found, random)
        case _:
            found = random.standard_normal(shape) / (1 + mild)
    return _with(found, list(domain.values) if mild == 0 else [])


def _with_far(values: Values, random: Random) -> Values:
    """A few values far from zero, as far as there is room: one near either end, the rest anywhere between."""
    flat = values.reshape(-1)
    count = max(ceil(flat.size * _FAR_SHARE), 2) if flat.size >= 2 * _ROOM else flat.size // _ROOM
    places = random.permutation(flat.size)[:count]
    flat[places] = random.uniform(-_FARTHEST, _FARTHEST, count)
    for place, end in zip(places, (_FARTHEST, -_FARTHEST), strict=False):
        flat[place] = random.uniform(_NEAR_END, 1) * end
    return flat.reshape(values.shape)


def _probabilities(domain: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    low, high = max(domain.low, 0.0), min(domain.high, 1.0)
    if mild:
        low, high = low + 0.1 * mild * (high - low), high - 0.1 * mild * (high - low)
    found = random.random(shape)
    match draw:
        case "negative":
            found = found / 4
        case "zeros":
            return np.full(shape, low)
        case "large":
            found = np.where(found < 0.5, 0.01 * found, 1 - 0.01 * found)  # noqa: PLR2004 - evenly
    return _with(low + found * (high - low), list(domain.values) if draw == "normal" and not mild else [])


def _states(_: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    scale = {"normal": 0.0, "zeros": 0.0, "large": 1.0}.get(draw, _SMALL)
    return scale * random.standard_normal(shape) / (1 + mild)


def _bounded(domain: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    low, high = domain.low, domain.high
    if isinf(low) and isinf(high):
        return _numbers(domain, shape, draw, random, mild)
    if isinf(high):
        return low + np.abs(_numbers(domain, shape, "normal" if draw == "negative" else draw, random, mild))
    if isinf(low):
        return high - np.abs(_numbers(domain, shape, "normal" if draw == "negative" else draw, random, mild))
    if draw == "zeros":
        return np.full(shape, min(max(0.0, low), high))
    margin = _margin(domain, draw, mild)
    low, high = low - margin, high + margin
    found = _evenly(shape, random) if draw == "uniform" else random.random(shape)
    return _with(low + found * (high - low), list(domain.values) if mild == 0 else [])


def _evenly(shape: Shape, random: Random) -> Values:
    """Numbers from 0 to 1: a scene where the shape is that of pictures, otherwise each by itself."""
    return scenes(shape, random) if is_picture(shape) else random.random(shape)


def _margin(domain: Domain, draw: str, mild: int) -> float:
    """How far beyond its bounds a draw goes: where the graph cuts the values."""
    return _BEYOND * (domain.high - domain.low) if draw == "large" and mild == 0 and domain.is_clipped else 0.0


def _pixels(domain: Domain, shape: Shape, draw: str, random: Random, _: int) -> Values:
    high = domain.high
    match draw:
        case "uniform":
            return np.floor(_evenly(shape, random) * (high + 1))
        case "negative":
            return np.floor(random.random(shape) * (high + 1) / 4)
        case "zeros":
            return np.zeros(shape)
        case "large":
            return np.where(random.random(shape) < 0.5, 0.0, high)  # noqa: PLR2004 - evenly
    middle = (high + 1) / 2
    return np.clip(np.round(middle + 0.375 * middle * random.standard_normal(shape)), 0, high)


def _ids(domain: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    low, high = domain.low, domain.high
    if isinf(low):
        low = 0
    if isinf(high):
        high = low + UNKNOWN_HIGH
    if draw == "zeros":
        return np.full(shape, low)
    if domain.step < 1:
        return _fractions(domain, shape, random, mild)
    margin = ceil(_margin(domain, draw, mild))
    low, high = low - margin, high + margin
    found = random.integers(int(low), int(high if mild == 0 else min(high, low + 1)) + 1, shape).astype(np.float64)
    return _with(found, [high, low, *domain.values] if mild == 0 else [])


def _fractions(domain: Domain, shape: Shape, random: Random, mild: int) -> Values:
    """Ids as parts of a whole, a quarter of a step above each, so that rounding down or to the nearest gives the id."""
    last = 1 if mild else round((domain.high - domain.low) / domain.step)
    found = _with(random.integers(0, last + 1, shape).astype(np.float64), [last, 0])
    return domain.low + (found + _ABOVE) * domain.step


def _integers(domain: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    if not domain.values:
        return _ids(domain, shape, draw, random, mild)
    if prod(shape) == 1:
        return np.full(shape, domain.values[DRAWS.index(draw) % len(domain.values)])
    return _with(_ids(domain, shape, draw, random, mild), list(domain.values))


def _with(values: Values, wanted: list[float]) -> Values:
    """The values, with the wanted ones among them, as far as there is room."""
    flat = values.reshape(-1)
    if flat.size > 1:
        places = np.linspace(0, flat.size - 1, num=min(len(wanted), flat.size)).astype(int)
        for place, value in zip(places, wanted, strict=False):
            flat[place] = value
    return flat.reshape(values.shape)


def _mask(_: Domain, shape: Shape, draw: str, random: Random, mild: int) -> Values:
    if mild == 1 or (mild == 0 and draw == "zeros"):
        return np.ones(shape)
    if mild == 2:  # noqa: PLR2004 - the second fall-back
        return np.zeros(shape)
    if not shape:
        return np.full(shape, float(DRAWS.index(draw) % 2 == 0))
    steps = shape[-1]
    if draw == "uniform" or mild:
        found = (random.random(shape) < 0.5).astype(np.float64)  # noqa: PLR2004 - evenly
        if steps > 1:
            found[..., 0], found[..., -1] = 1, 0
        return found
    lengths = random.integers(1, max(steps, 2), (*shape[:-1], 1))
    return (np.arange(steps) < lengths).astype(np.float64)


def _lengths(domain: Domain, shape: Shape, draw: str, random: Random, _: int) -> Values:
    most = domain.high if not isinf(domain.high) else 1
    if draw == "zeros":
        return np.full(shape, most)
    found = random.integers(max(int(domain.low), 1), int(most) + 1, shape).astype(np.float64)
    return _with(found, [most])


def _counts(domain: Domain, shape: Shape, draw: str, _: Random, __: int) -> Values:
    low, high = max(domain.low, 0), domain.high if not isinf(domain.high) else 3
    number = {"normal": high - 1, "uniform": 1, "negative": 2, "zeros": low, "large": high}[draw]
    return np.full(shape, min(max(number, low), high))


def _sizes(domain: Domain, shape: Shape, draw: str, _: Random, __: int) -> Values:
    low, high = max(domain.low, 1), domain.high if not isinf(domain.high) else 2
    return np.full(shape, low if draw == "zeros" else min(max(2, low), high))


_Sampler = Callable[[Domain, Shape, str, Random, int], Values]
_SAMPLERS: Mapping[Kind, _Sampler] = {
    Kind.NUMBERS: _numbers,
    Kind.BOUNDED: _bounded,
    Kind.PROBABILITY: _probabilities,
    Kind.STATE: _states,
    Kind.PIXELS: _pixels,
    Kind.IDS: _ids,
    Kind.INTEGERS: _integers,
    Kind.MASK: _mask,
    Kind.LENGTH: _lengths,
    Kind.COUNT: _counts,
    Kind.SIZE: _sizes,
    Kind.TIMESTEP: _ids,
}


def describe(domain: Domain) -> str:
    """What is assumed of an input, for people: ``ids below 500``, ``0 and 1``."""
    low, high = domain.low, domain.high
    match domain.kind:
        case Kind.IDS:
            words = f"ids below {high + 1:g}" if low == 0 else f"ids from {low:g} to {high:g}"
            words = words if domain.step == 1 else f"ids from {low:g} to {high:g} in steps of {domain.step:.3g}"
        case Kind.MASK:
            words = "a mask of 0 and 1"
        case Kind.PIXELS:
            words = f"pixels from 0 to {high:g}"
        case Kind.NUMBERS:
            words = "numbers"
        case Kind.STATE:
            words = "states, zeros at first"
        case _:
            bounds = [f"from {low:g}" if low > -inf else "", f"to {high:g}" if high < inf else ""]
            words = " ".join([domain.kind.value, *filter(None, bounds)])
    values = f", {', '.join(f'{value:g}' for value in domain.values)} among them" if domain.values else ""
    return words + values
