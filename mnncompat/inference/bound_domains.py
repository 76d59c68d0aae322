"""What cuts and compares values, and what that says about an input; see `mnncompat.inference.domain_rules`."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mnncompat.graph.protos import attribute
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use

if TYPE_CHECKING:
    from numpy.typing import NDArray

Found = Iterator[Use | Claim]

_WIDEST = 1e4
"""Bounds of a Clip beyond it are guards, and say nothing about the values."""
_EPSILON = 1e-2
"""Distance from 0 and 1 that keeps probabilities from both."""
_ASIDE = 0.25
"""How far from a threshold values on both sides of it lie, relative to it."""
_FARTHEST = 1e6
"""Numbers of a scale beyond it are no scale."""
_RANDOM = ("RandomUniform", "RandomUniformLike")
_UNCHANGED = ("Cast", "Unsqueeze", "Reshape", "Expand", "Squeeze", "Identity")


def clip(reading: Reading) -> Found:
    """Bounds within which most values lie; those beyond them are allowed."""
    if reading.position:
        return
    low, high = _clip_bounds(reading)
    if low is not None and high is not None and low < high and max(-low, high) <= _WIDEST:
        if 0 < low <= _EPSILON and 0 < 1 - high <= _EPSILON:
            yield from reading.claim(Kind.PROBABILITY, 0, 1, f"Clip to {low:g} .. {high:g}")
        else:
            yield from reading.claim(Kind.BOUNDED, low, high, f"Clip to {low:g} .. {high:g}")
    elif None in (low, high):
        number = low if low is not None else high
        if number is not None and abs(number) <= _WIDEST:
            yield from _threshold(reading, number, f"Clip at {number:g}")
    yield from (use._replace(is_clipped=True) for use in reading.passed())


def _clip_bounds(reading: Reading) -> list[float | None]:
    bounds = [attribute(reading.node, name) for name in ("min", "max")]
    for place in (1, 2):
        value = reading.constant(place)
        bounds[place - 1] = float(value.reshape(-1)[0]) if value is not None else bounds[place - 1]
    return [None if bound is None else float(bound) for bound in bounds]


def extremum(reading: Reading) -> Found:
    """Min and Max with a number: values on both sides of it."""
    others = [place for place in range(len(reading.node.input)) if place != reading.position]
    constants = [reading.constant(place) for place in others]
    number = constants[0] if len(constants) == 1 else None
    if number is not None and number.size == 1 and np.abs(number).max() <= _WIDEST:
        value = float(number.reshape(-1)[0])
        yield from _threshold(reading, value, f"{reading.node.op_type} with {value:g}")
        yield from (use._replace(is_clipped=True) for use in reading.passed())


def activation(reading: Reading) -> Found:
    """ThresholdedRelu and Shrink: another formula from a number on."""
    name, default = {"ThresholdedRelu": ("alpha", 1.0), "Shrink": ("lambd", 0.5)}[reading.node.op_type]
    number = float(attribute(reading.node, name, default))
    yield from _threshold(reading, number, f"{reading.node.op_type} at {number:g}")


def compare(reading: Reading) -> Found:
    """With 0 or 1 a mask is compared, with another number a value that matters; with positions, lengths or ids are."""
    other, op = reading.constant(1 - reading.position), reading.node.op_type
    if other is not None and other.size == 1:
        yield from _compared(reading, float(other.reshape(-1)[0]))
        return
    producer = reading.view.producer(reading.node.input[1 - reading.position])
    if producer is not None and producer.op_type in _RANDOM:
        yield from reading.claim(Kind.PROBABILITY, 0, 1, f"{op} with what {producer.op_type} draws")
        return
    shape = reading.shape(reading.node.output[0])
    if shape and shape[-1] and _is_positions(reading):
        if op == "Equal":
            yield from reading.claim(Kind.IDS, 0, shape[-1] - 1, f"Equal with the numbers below {shape[-1]}")
        else:
            yield from reading.claim(Kind.LENGTH, 1, shape[-1], f"{op} with positions of {shape[-1]} steps")
    elif other is not None and op != "Equal":
        yield from _on_scale(reading, other)


def _on_scale(reading: Reading, scale: NDArray[Any]) -> Iterator[Claim]:
    """With the numbers of a scale: a value beyond all of them chooses all or none, and divides by nothing after that.

    Of a single value, a lower bound lies in the lower half and an upper one in the upper: two bounds leave its middle.
    """
    op = reading.node.op_type
    low, middle, high = (float(each) for each in np.quantile(scale, (0, 0.5, 1), method="lower"))
    if not low < high or max(-low, high) > _FARTHEST:
        return
    sizes = reading.shape(reading.node.input[reading.position])
    if sizes is not None and None not in sizes and prod(size or 0 for size in sizes) == 1:
        is_lower = op.startswith("Less") == (reading.position == 0)
        low, high = (low, middle) if is_lower else (middle, high)
    yield from reading.claim(Kind.BOUNDED, low, high, f"{op} with numbers from {low:g} to {high:g}")


def _compared(reading: Reading, number: float) -> Iterator[Claim]:
    """With one number."""
    op = reading.node.op_type
    words = f"{op} with {number:g}"
    if number in (0.0, 0.5, 1.0):
        yield from (claim._replace(is_weak=True) for claim in reading.claim(Kind.MASK, 0, 1, words))
    if 0 < number < 1 and op != "Equal":
        yield from reading.claim(Kind.PROBABILITY, 0, 1, words)
    if op != "Equal":
        yield from _threshold(reading, number, words)
    elif reading.use.scale:
        yield Claim(Kind.THRESHOLD, -inf, inf, words, values=(_solved(reading, number),))


def _threshold(reading: Reading, number: float, words: str) -> Iterator[Claim]:
    """A number that splits the values: both sides are wanted."""
    if not reading.use.scale or number == 0:
        return
    aside = _ASIDE * abs(number)
    values = tuple(_solved(reading, each) for each in (number - aside, number + aside))
    yield Claim(Kind.THRESHOLD, -inf, inf, words, values=values, exact=(_solved(reading, number),))


def _solved(reading: Reading, number: float) -> float:
    """The input at which the read value is a number."""
    return (number - reading.use.most) / reading.use.scale


def _is_positions(reading: Reading) -> bool:
    """The other operand comes from a Range, or is a stored one."""
    name = reading.node.input[1 - reading.position]
    node = reading.view.producer(name)
    while node is not None and node.op_type in _UNCHANGED:
        name = node.input[0]
        node = reading.view.producer(name)
    if node is not None and node.op_type == "Range":
        return True
    value = reading.view.stored_value(name)
    return value is not None and value.size > 1 and np.array_equal(value.reshape(-1), np.arange(value.size))
