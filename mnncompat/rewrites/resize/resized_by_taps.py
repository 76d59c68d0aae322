"""Resize along axes whose sizes are known only when the model runs: elements are gathered, weighed and summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.resize.resized_axes import amounts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.protos import Dim
    from mnncompat.rewrites.resize.resampling import Numbers, Sampling
    from mnncompat.support.node_facts import NodeFacts

_RANGE_SINCE = 11
_IMAGE_RANK = 4
_TAPS = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenAxis:
    """One axis of a resize; all values are float32 of shape (1,).

    Attributes:
        axis: Which one.
        size: Elements before.
        last: One less.
        result: Elements after, a whole number.
        scale: As stated, or result / size.
    """

    axis: int
    size: Value
    last: Value
    result: Value
    scale: Value


def resized_by_taps(node: NodeFacts, new: SubgraphBuilder, sampling: Sampling) -> Value | None:
    """The result of a resize, if the size of an axis that it changes is not known; else None.

    Raises:
        NotApplicable: It is not known, and the resize has a form that needs it.
    """
    axes = [axis % new.input(0).rank for axis in node.attribute("axes") or range(new.input(0).rank)]
    scales, sizes = amounts_of(node, new, len(axes))
    stated = scales if scales is not None else sizes
    if stated is None:
        return None
    shape = new.known_shape(node.node.output[0])
    changed = [
        (axis, amount)
        for axis, amount in zip(axes, stated, strict=True)
        if not _is_kept(new, axis, amount, shape, scaled=scales is not None, mode=sampling.mode)
    ]
    if not any(_is_open(new, axis, amount, shape) for axis, amount in changed):
        return None
    _require_open_form(node, new, sampling)
    value = new.input(0)
    for axis, amount in changed:
        opened = _opened(new, axis, amount, scaled=scales is not None)
        value = _resized(new, value, opened, sampling)
    return value


def _is_kept(
    new: SubgraphBuilder, axis: int, amount: Numbers, shape: Sequence[Dim] | None, *, scaled: bool, mode: str
) -> bool:
    """The axis has the same size after; cubic resizes of images change height and width alone."""
    if scaled and not isinstance(amount, Value):
        return float(amount[0]) == 1
    before = new.input(0).dims[axis]
    is_same = shape is not None and before is not None and shape[axis] == before
    return is_same or (mode == "cubic" and new.input(0).rank == _IMAGE_RANK and axis < _IMAGE_RANK - 2)


def _is_open(new: SubgraphBuilder, axis: int, amount: Numbers, shape: Sequence[Dim] | None) -> bool:
    is_stated = not isinstance(amount, Value) or (shape is not None and isinstance(shape[axis], int))
    return not isinstance(new.input(0).dims[axis], int) or not is_stated


def _require_open_form(node: NodeFacts, new: SubgraphBuilder, sampling: Sampling) -> None:
    policy = node.attribute("keep_aspect_ratio_policy") or "stretch"
    strange = next(
        filter(
            None,
            (
                f"opset {new.opset}" if new.opset < _RANGE_SINCE else "",
                "antialias" if sampling.antialias else "",
                sampling.coordinates if sampling.coordinates == "tf_crop_and_resize" else "",
                f"keep_aspect_ratio_policy {policy}" if policy != "stretch" else "",
            ),
        ),
        "",
    )
    if strange:
        raise NotApplicable(f"{strange}, and a size of '{new.input(0).name}' or of the result is dynamic")


def _opened(new: SubgraphBuilder, axis: int, amount: Numbers, *, scaled: bool) -> _OpenAxis:
    whole = new.op("Shape", new.input(0))
    size = new.cast(new.slice(whole, [axis], [axis + 1], [0]), TensorProto.FLOAT)
    given = amount if isinstance(amount, Value) else new.constant(amount)
    result, scale = (new.op("Floor", size * given), given) if scaled else (given, given / size)
    return _OpenAxis(axis=axis, size=size, last=size - 1.0, result=result, scale=scale)


def _resized(new: SubgraphBuilder, value: Value, axis: _OpenAxis, sampling: Sampling) -> Value:
    where = _positions(new, axis, sampling.coordinates)
    if sampling.mode == "nearest":
        up = sampling.rounding in ("ceil", "round_prefer_floor")
        shift = {"round_prefer_floor": -0.5, "round_prefer_ceil": 0.5}.get(sampling.rounding, 0.0)
        place = new.op("Ceil" if up else "Floor", where + shift if shift else where)
        return new.op("Gather", value, _index(new, axis, place), axis=axis.axis)
    base = new.op("Floor", where)
    places = [base + float(tap) if tap else base for tap in _TAPS[sampling.mode]]
    shares = _shares(where - base, sampling)
    if sampling.excludes and sampling.mode == "cubic":
        shares = _within(new, axis, places, shares)
    tail = [1] * (value.rank - 1 - axis.axis)
    parts = [
        new.op("Gather", value, _index(new, axis, place), axis=axis.axis)
        * new.cast(new.reshape(share, [-1, *tail]) if tail else share, value.dtype)
        for place, share in zip(places, shares, strict=True)
    ]
    return _sum(parts)


def _positions(new: SubgraphBuilder, axis: _OpenAxis, coordinates: str) -> Value:
    """Where each element of the result lies in the data: float32, shape (result,)."""
    count = new.squeeze(new.cast(axis.result, TensorProto.INT64), [0])
    zero, one = (new.constant(np.asarray(number, np.int64)) for number in (0, 1))
    steps = new.cast(new.op("Range", zero, count, one), TensorProto.FLOAT)
    half = 0.5
    match coordinates:
        case "asymmetric":
            return steps / axis.scale
        case "align_corners":
            return steps * axis.last / new.op("Max", axis.result - 1.0, 1.0)
        case "half_pixel":
            return (steps + half) / axis.scale - half
        case "pytorch_half_pixel":
            several = new.clip(axis.result - 1.0, 0.0, 1.0)
            return ((steps + half) / axis.scale - half) * several
        case "half_pixel_symmetric":
            adjustment = axis.result / (axis.scale * axis.size)
            return (1.0 - adjustment) * (axis.size * half) + (steps + half) / axis.scale - half
    raise NotApplicable(f"coordinate_transformation_mode {coordinates}")


def _index(new: SubgraphBuilder, axis: _OpenAxis, place: Value) -> Value:
    """Places as indices; those outside of the data are those of its edges."""
    inside = new.op("Min", new.op("Max", place, 0.0), axis.last)
    return new.cast(inside, TensorProto.INT64)


def _shares(t: Value, sampling: Sampling) -> list[Value]:
    """Weights of the taps, at a distance of t behind the second one (cubic) or the first one (linear)."""
    u = 1.0 - t
    if sampling.mode == "linear":
        return [u, t]
    a = sampling.coefficient
    inner = [((a + 2) * each - (a + 3)) * each * each + 1.0 for each in (t, u)]
    return [t * u * u * a, *inner, u * t * t * a]


def _within(new: SubgraphBuilder, axis: _OpenAxis, places: Sequence[Value], shares: Sequence[Value]) -> list[Value]:
    """Weights without those of places outside of the data, scaled to a sum of 1."""
    kept = []
    for place, share in zip(places, shares, strict=True):
        beyond = new.op("Max", -place, 0.0) + new.op("Max", place - axis.last, 0.0)
        kept.append(share * (1.0 - new.clip(beyond, 0.0, 1.0)))
    total = _sum(kept)
    return [share / total for share in kept]


def _sum(parts: Sequence[Value]) -> Value:
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result
