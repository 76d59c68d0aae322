"""The integers that MNN clamps."""

from __future__ import annotations

from mnncompat.graph.view import GraphView

# `_limit` in onnxOpConverter.cpp.
_INT64_LIMIT = 1 << 30


def first_clamped(view: GraphView, name: str) -> int | None:
    """The first number of a stored value of int64 that MNN clamps; None if there is none."""
    small = view.stored_numbers(name)
    if small is not None:
        return next((int(each) for each in small.values if abs(each) > _INT64_LIMIT), None)
    values = view.stored_value(name)
    if values is None or not values.size or max(int(values.max()), -int(values.min())) <= _INT64_LIMIT:
        return None
    return next(int(value) for value in values.flat if abs(int(value)) > _INT64_LIMIT)
