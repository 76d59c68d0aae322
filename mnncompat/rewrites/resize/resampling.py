"""Positions and weights of a resize along one axis, as numbers or, where a scale is computed at run time, as nodes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

Numbers = NDArray[Any] | Value
"""A constant, or a value that is computed when the model runs."""


_KNOWN = {
    "mode": ("nearest", "linear", "bilinear", "cubic"),
    "coordinate_transformation_mode": (
        "asymmetric",
        "align_corners",
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "tf_crop_and_resize",
        "tf_half_pixel_for_nn",
    ),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
}
"""What the attributes of Resize may say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """One axis of a resize.

    Attributes:
        axis: Which one.
        size: Elements before.
        result: Elements after.
        scale: float32, shape (1,).
        start: Where the cut-out begins, as a share of the size: float32, shape (1,). ``tf_crop_and_resize`` only.
        stop: Where it ends.
    """

    axis: int
    size: int
    result: int
    scale: Numbers
    start: Numbers
    stop: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a resize reads its elements: the attributes of the node.

    Attributes:
        mode: nearest, linear or cubic.
        coordinates: ``coordinate_transformation_mode``.
        rounding: ``nearest_mode``; ``simple`` before opset 11.
        coefficient: ``cubic_coeff_a``.
        excludes: ``exclude_outside``.
        antialias: Widen the filter where the size shrinks.
        extrapolation: The value of elements outside of the data, with ``tf_crop_and_resize``.
    """

    mode: str
    coordinates: str
    rounding: str
    coefficient: float
    excludes: bool
    antialias: bool
    extrapolation: float


def sampling_of(node: NodeFacts) -> Sampling:
    """The sampling of a Resize or an Upsample.

    Raises:
        NotApplicable: An attribute says what ONNX does not have.
    """
    old = node.opset < 11  # noqa: PLR2004 - before there were coordinate modes
    mode = str(node.attribute("mode") or "nearest")
    for name, known in _KNOWN.items():
        stated = node.attribute(name)
        if stated and stated not in known:
            raise NotApplicable(f"{name} {stated!r}, which ONNX does not have")
    return Sampling(
        mode="linear" if mode == "bilinear" else mode,
        coordinates="asymmetric" if old else str(node.attribute("coordinate_transformation_mode") or "half_pixel"),
        rounding="simple" if old else str(node.attribute("nearest_mode") or "round_prefer_floor"),
        coefficient=float(node.attribute("cubic_coeff_a") or -0.75) if node.given("cubic_coeff_a") else -0.75,
        excludes=bool(node.attribute("exclude_outside")),
        antialias=bool(node.attribute("antialias")),
        extrapolation=float(node.attribute("extrapolation_value") or 0.0),
    )


def positions(new: SubgraphBuilder, axis: Resized, coordinates: str) -> Numbers:
    """Where each element of the result lies in the data: float32, shape (result,)."""
    steps = np.arange(axis.result, dtype=np.float32)
    last, half = float(axis.size - 1), 0.5
    result: Numbers
    match coordinates:
        case "asymmetric":
            result = _over(new, steps, axis.scale)
        case "align_corners":
            result = steps * last / float(max(axis.result - 1, 1))
        case "pytorch_half_pixel" if axis.result == 1:
            result = np.zeros(1, np.float32)
        case "half_pixel" | "pytorch_half_pixel":
            result = _over(new, steps + half, axis.scale) - half
        case "half_pixel_symmetric":
            adjustment = _over(new, np.full(1, axis.result, np.float32), axis.scale * float(axis.size))
            offset = (1 - adjustment) * (axis.size / 2)
            result = offset + _over(new, steps + half, axis.scale) - half
        case "tf_crop_and_resize" if axis.result == 1:
            result = (axis.start + axis.stop) * (half * last)
        case "tf_crop_and_resize":
            result = axis.start * last + (axis.stop - axis.start) * (steps * last / float(axis.result - 1))
        case other:
            raise NotApplicable(f"coordinate_transformation_mode {other}")
    return result


def _over(new: SubgraphBuilder, steps: NDArray[Any], scale: Numbers) -> Numbers:
    return new.constant(steps) / scale if isinstance(scale, Value) else steps / scale


def outside(new: SubgraphBuilder, axis: Resized, where: Numbers) -> Numbers | None:
    """1 for each position inside of the data, 0 outside: float32, shape (result,); None if all are inside."""
    last = axis.size - 1
    if isinstance(where, Value):
        low, high = (
            new.op("Cast", each, to=1) for each in (new.op("Greater", -where, 0.0), new.op("Greater", where, last))
        )
        return 1 - (low + high)
    inside = (where >= 0) & (where <= last)
    return None if inside.all() else inside.astype(np.float32)


def nearest(new: SubgraphBuilder, axis: Resized, where: Numbers, rounding: str) -> Numbers:
    """Which element each position takes: int64, shape (result,)."""
    if rounding == "simple":
        rounding = "ceil" if not isinstance(axis.scale, Value) and axis.scale[0] < 1 else "floor"
        if isinstance(axis.scale, Value) and axis.result < axis.size:
            rounding = "ceil"
    shift = {"round_prefer_floor": -0.5, "round_prefer_ceil": 0.5}.get(rounding, 0.0)
    up = rounding in ("ceil", "round_prefer_floor")
    if isinstance(where, Value):
        moved = where + shift if shift else where
        return new.cast(new.clip(new.op("Ceil" if up else "Floor", moved), 0.0, float(axis.size - 1)), 7)
    exact = where.astype(np.float64) + shift
    return np.asarray(np.clip(np.ceil(exact) if up else np.floor(exact), 0, axis.size - 1), np.int64)


def weights(new: SubgraphBuilder, axis: Resized, where: Numbers, sampling: Sampling) -> Numbers:
    """Share of each element of the data in each element of the result: float32, shape (result, size)."""
    squeezed = sampling.antialias and axis.result < axis.size
    if sampling.mode == "linear" and not squeezed:
        where = _clip(new, where, 0, axis.size - 1)
    reach = 1 if sampling.mode == "linear" else 2
    shrinking = axis.scale if squeezed else None
    beyond = reach + 1 if shrinking is None else ceil((reach + 1) * axis.size / axis.result) + 1
    places: NDArray[Any] = np.arange(
        -beyond, axis.size + beyond, dtype=np.float32 if isinstance(where, Value) else np.float64
    )
    column = new.reshape(where, [-1, 1]) if isinstance(where, Value) else where.astype(np.float64)[:, None]
    distance = _absolute(new, column - places)
    if shrinking is not None:
        distance = distance * (shrinking if isinstance(distance, Value) else np.asarray(shrinking, np.float64))
    shares = _cubic(new, distance, sampling.coefficient) if sampling.mode == "cubic" else 1 - _clip(new, distance, 0, 1)
    folded = _edges(axis.size, beyond, excludes=sampling.excludes)
    if isinstance(shares, Value):
        shares = shares @ new.constant(folded)
        return shares / new.reduce("ReduceSum", shares, [1]) if sampling.excludes or squeezed else shares
    table = shares @ folded
    if sampling.excludes or squeezed:
        table = table / table.sum(axis=1, keepdims=True)
    return table.astype(np.float32)


def _cubic(new: SubgraphBuilder, distance: Numbers, a: float) -> Numbers:
    """Keys' kernel, as the sum of its two pieces, each of which is zero in the range of the other."""
    near, far = _clip(new, distance, 0, 1), _clip(new, distance, 1, 2)
    inner = ((a + 2) * near - (a + 3)) * near * near + 1
    return inner + (((far - 5) * far + 8) * far - 4) * a


def _edges(size: int, beyond: int, *, excludes: bool) -> NDArray[np.float32]:
    """The treatment of positions outside of the data: they count for the nearest edge, or not at all."""
    places: NDArray[Any] = np.arange(-beyond, size + beyond)
    table = np.zeros((len(places), size), np.float32)
    table[np.arange(len(places)), np.clip(places, 0, size - 1)] = 1
    if excludes:
        table[(places < 0) | (places >= size)] = 0
    return table


def _clip(new: SubgraphBuilder, value: Numbers, low: float, high: float) -> Numbers:
    return new.clip(value, float(low), float(high)) if isinstance(value, Value) else np.clip(value, low, high)


def _absolute(new: SubgraphBuilder, value: Numbers) -> Numbers:
    return new.op("Abs", value) if isinstance(value, Value) else np.abs(value)
