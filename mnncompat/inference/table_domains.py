"""Operands that select rows or stand for categories, in operators that ONNX does not have.

See `mnncompat.inference.domain_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

from mnncompat.graph.protos import attribute
from mnncompat.inference.domain_claims import Claim, Kind, Reading, Use

Found = Iterator[Use | Claim]

_MOST_NUMBERS = 12
"""Of thresholds and categories that one input is drawn at."""


def _selects(position: int, table: int, axis: str = "", default: int = 0) -> Callable[[Reading], Found]:
    """Indices along an axis of another operand; what that holds is read as numbers."""

    def rule(reading: Reading) -> Found:
        if reading.position != position:
            return
        shape = reading.shape(reading.node.input[table])
        place = attribute(reading.node, axis, default) if axis else default
        if shape and shape[place]:
            yield from reading.claim(Kind.IDS, 0, (shape[place] or 1) - 1, reading.words(table))

    return rule


def _crop(reading: Reading) -> Found:
    """CropAndResize: boxes lie in the image, for the most part."""
    if reading.position == 1:
        yield from reading.claim(Kind.BOUNDED, 0, 1, "boxes of CropAndResize")
    else:
        yield from _selects(2, 0)(reading)


def _numbers(*names: str) -> Callable[[Reading], Found]:
    """Numbers that an operator compares its operand with."""

    def rule(reading: Reading) -> Found:
        found = sorted({float(each) for name in names for each in attribute(reading.node, name, ())})
        if not found or not reading.use.scale or reading.position:
            return
        step = max(len(found) // _MOST_NUMBERS, 1)
        told = tuple((each - reading.use.most) / reading.use.scale for each in found[::step])
        kind = reading.node.op_type
        yield Claim(Kind.THRESHOLD, -inf, inf, f"{kind} at {found[0]:g} to {found[-1]:g}", values=told, exact=told)

    return rule


TABLE_DOMAINS: Mapping[str, Callable[[Reading], Found]] = {
    "ArrayFeatureExtractor": _selects(1, 0, default=-1),
    "CropAndResize": _crop,
    "GatherBlockQuantized": _selects(1, 0, "gather_axis"),
    "LabelEncoder": _numbers("keys_int64s", "keys_floats"),
    "OneHotEncoder": _numbers("cats_int64s"),
    **dict.fromkeys(("TreeEnsembleClassifier", "TreeEnsembleRegressor"), _numbers("nodes_values")),
}
"""By op type."""
