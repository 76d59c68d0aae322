"""Relations of Resize and Upsample: which axes change, and which elements are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, isclose

from mnncompat.graph.operator_traits import RESIZES
from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import operand_shape, result_shape
from mnncompat.support.relations.registry import relation
from mnncompat.support.three_valued import any_of

_HALF = 1e-4  # float32 scales such as 0.6 are not exact

_IMAGE_RANK = 4

_ROI_SINCE = 11  # from this opset on, the scales of a Resize are its third input

_LARGE = 1_000_000


@relation(
    holds=(
        "(float[1,1,4,4] x) => (float[1,1,8,8] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> { y = "
        'Resize<mode="nearest">(x, , s) }'
    ),
    fails=(
        "(float[1,1,4,4] x) => (float[1,1,2,2] y) <float[4] s = {1.0, 1.0, 0.5, 0.5}> { y = "
        'Resize<mode="nearest">(x, , s) }'
    ),
)
def resize_enlarges_spatial_axes(facts: NodeFacts) -> bool | None:
    """A spatial dimension (axis 2 and up) of the result is larger than that of input 0."""
    return _compare_sizes(facts, range(2, 32), lambda before, after: after > before)


@relation(
    holds='(float[1,1,H,4] x, int64[4] n) => (float[1,1,G,K] y) { y = Resize<mode="nearest">(x, , , n) }',
    fails=(
        "(float[1,1,H,4] x) => (float[1,1,G,8] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> { y = "
        'Resize<mode="nearest">(x, , s) }'
    ),
)
def resize_may_enlarge(facts: NodeFacts) -> bool:
    """It is not known whether a spatial dimension (axis 2 and up) of the result is larger than that of input 0."""
    return resize_enlarges_spatial_axes(facts) is None


@relation(
    holds=(
        "(float[1,1,4,4] x) => (float[1,1,2,2] y) <float[4] s = {1.0, 1.0, 0.5, 0.5}> { y = "
        'Resize<mode="nearest">(x, , s) }'
    ),
    fails=(
        "(float[1,1,4,4] x) => (float[1,1,8,8] y) <float[4] s = {1.0, 1.0, 2.0, 2.0}> { y = "
        'Resize<mode="nearest">(x, , s) }'
    ),
)
def resize_shrinks_spatial_axes(facts: NodeFacts) -> bool | None:
    """A spatial dimension (axis 2 and up) of the result is smaller than that of input 0."""
    return _compare_sizes(facts, range(2, 32), lambda before, after: after < before)


@relation(
    holds=(
        '(float[1,1,4] x) => (float[2,1,4] y) <float[3] s = {2.0, 1.0, 1.0}> { y = Resize<mode="nearest">(x, , s) }'
    ),
    fails=(
        '(float[1,1,4] x) => (float[1,1,8] y) <float[3] s = {1.0, 1.0, 2.0}> { y = Resize<mode="nearest">(x, , s) }'
    ),
)
def resize_changes_batch(facts: NodeFacts) -> bool | None:
    """Axis 0 of the result has another size than that of input 0."""
    return _compare_sizes(facts, range(1), lambda before, after: after != before)


@relation(
    holds=(
        '(float[1,1,4] x) => (float[1,2,4] y) <float[3] s = {1.0, 2.0, 1.0}> { y = Resize<mode="nearest">(x, , s) }'
    ),
    fails=(
        '(float[1,1,4] x) => (float[1,1,8] y) <float[3] s = {1.0, 1.0, 2.0}> { y = Resize<mode="nearest">(x, , s) }'
    ),
)
def resize_changes_channels(facts: NodeFacts) -> bool | None:
    """Axis 1 of the result has another size than that of input 0."""
    return _compare_sizes(facts, range(1, 2), lambda before, after: after != before)


def _compare_sizes(facts: NodeFacts, axes: range, test: Callable[[int, int], bool]) -> bool | None:
    before, after = operand_shape(facts, 0), result_shape(facts, 0)
    if before is None or after is None or len(before) != len(after):
        return None
    scales = _constant_scales(facts, len(before))
    found: list[bool | None] = []
    for axis in axes[: max(0, len(before) - axes.start)]:
        same = _compared(before[axis], after[axis], test)
        if same is None and scales is not None:  # _LARGE for a dynamic size: it distinguishes scales
            same = test(_LARGE, int(_LARGE * scales[axis]))
        found.append(same)
    return any_of(found)


def _constant_scales(facts: NodeFacts, rank: int) -> list[float] | None:
    """The scale of every axis of a Resize or Upsample; None if the scales are not constant, or none that there are."""
    if facts.node.op_type not in RESIZES or facts.attribute("axes"):
        return None
    position = 2 if facts.node.op_type == "Resize" and facts.opset > 10 else 1  # noqa: PLR2004 - added roi
    name = facts.operand(position)
    stored = facts.numbers_through_casts(name) if name is not None else None
    scales = [float(each) for each in (facts.attribute("scales") or () if stored is None else stored)]
    return scales if len(scales) == rank and all(0 < scale < _LARGE for scale in scales) else None


def _compared(old: Dim, new: Dim, test: Callable[[int, int], bool]) -> bool | None:
    if isinstance(old, int) and isinstance(new, int):
        return test(old, new)
    return False if isinstance(old, str) and old == new else None


@relation(
    holds=(
        '(float[1,1,4,4] x) => (float[1,1,8,8] y) <int64[2] z = {8, 8}> { y = Resize<mode="nearest", axes=[2, '
        "3]>(x, , , z) }"
    ),
    fails=(
        '(float[1,1,4,4] x) => (float[1,1,8,8] y) <int64[2] z = {8, 8}> { y = Resize<mode="nearest", axes=[3, '
        "2]>(x, , , z) }"
    ),
    opset=18,
)
def axes_name_height_and_width(facts: NodeFacts) -> bool | None:
    """Attribute ``axes`` names the last two of four axes, in this order."""
    rank = facts.rank(facts.node.input[0])
    if rank is None:
        return None
    return rank == _IMAGE_RANK and [axis % rank for axis in facts.attribute("axes") or ()] == [2, 3]


@relation(
    holds=(
        '(float[1,1,4] x) => (float[1,1,8] y) <float[3] s = {1.0, 1.0, 2.0}> { y = Resize<mode="nearest", '
        'coordinate_transformation_mode="asymmetric">(x, , s) }'
    ),
    fails=(
        '(float[1,1,4] x) => (float[1,1,8] y) <float[3] s = {1.0, 1.0, 2.0}> { y = Resize<mode="nearest", '
        'coordinate_transformation_mode="half_pixel">(x, , s) }'
    ),
)
def positions_fall_half_way(facts: NodeFacts) -> bool | None:
    """An element of a Resize's result lies half way between two elements of the input."""
    sizes = _resized(facts)
    if sizes is None:
        return None
    mode = facts.attribute("coordinate_transformation_mode")
    return any(_falls_half_way(mode, *each) for each in sizes)


@relation(
    holds='(float[1,1,8] x) => (float[1,1,2] y) <float[3] s = {1.0, 1.0, 0.25}> { y = Resize<mode="nearest">(x, s) }',
    fails='(float[1,1,8] x) => (float[1,1,4] y) <float[3] s = {1.0, 1.0, 0.5}> { y = Resize<mode="nearest">(x, s) }',
    opset=10,
)
def opset_10_nearest_differs_from_half_pixel(facts: NodeFacts) -> bool | None:
    """A nearest Resize of opset 10 reads other elements than one with half_pixel and round_prefer_floor."""
    sizes = _resized(facts)
    return None if sizes is None else any(_old_nearest(*each) != _half_pixel_nearest(*each) for each in sizes)


def _old_nearest(old: int, new: int, scale: float) -> list[int]:
    """As ONNX Runtime implements opset 10: asymmetric, rounded down when enlarging, up when shrinking."""
    positions = [index / scale for index in range(new)]
    return [min(floor(each + _HALF) if scale > 1 else ceil(each - _HALF), old - 1) for each in positions]


def _half_pixel_nearest(old: int, new: int, scale: float) -> list[int]:
    positions = [(index + 0.5) / scale - 0.5 for index in range(new)]
    return [min(max(ceil(each - 0.5 - _HALF), 0), old - 1) for each in positions]


@relation(
    holds='(float[1,1,3] x) => (float[1,1,4] y) { y = Upsample<mode="linear", scales=[1.0, 1.0, 1.5]>(x) }',
    fails='(float[1,1,4] x) => (float[1,1,6] y) { y = Upsample<mode="linear", scales=[1.0, 1.0, 1.5]>(x) }',
    opset=8,
)
def scaled_size_is_fractional(facts: NodeFacts) -> bool | None:
    """A size of input 0 times its scale is no whole number: the sizes have another ratio than the scale."""
    shape = facts.shape(facts.node.input[0])
    scales = facts.attribute("scales") or _scales(facts)
    if shape is None or scales is None or len(scales) != len(shape):
        return None
    sizes = [size * scale if isinstance(size, int) else None for size, scale in zip(shape, scales, strict=True)]
    if any(size is not None and not isclose(size, round(size), abs_tol=_HALF) for size in sizes):
        return True
    return None if any(size is None and scale % 1 for size, scale in zip(sizes, scales, strict=True)) else False


def _scales(facts: NodeFacts) -> Sequence[float] | None:
    name = facts.operand(1 if facts.opset < _ROI_SINCE else 2)
    scales = None if name is None else facts.numbers_through_casts(name)
    return None if scales is None else [float(scale) for scale in scales] or None


def _resized(facts: NodeFacts) -> list[tuple[int, int, float]] | None:
    """(old size, new size, scale) of every axis that a Resize changes; None if that is not known."""
    before, after = facts.shape(facts.node.input[0]), facts.shape(facts.node.output[0])
    scales = _scales(facts)
    if before is None or after is None or (scales is None and facts.operand(3) is None):
        return None
    if scales is not None and len(scales) != len(before):
        return None
    found = []
    for axis, (old, new) in enumerate(zip(before, after, strict=True)):
        sizes = _sizes(old, new, None if scales is None else scales[axis])
        if sizes is None:
            return None
        found.append(sizes)
    return [each for each in found if each[2] != 1]


def _sizes(old: Dim, new: Dim, scale: float | None) -> tuple[int, int, float] | None:
    if scale == 1:
        return 1, 1, 1.0
    if not isinstance(old, int) or (scale is None and not isinstance(new, int)):
        return (1, 1, 1.0) if old is not None and old == new else None
    size = new if isinstance(new, int) else int(old * (scale or 1))
    return old, size, scale if scale is not None else size / old


def _falls_half_way(mode: str, old: int, new: int, scale: float) -> bool:
    if mode == "align_corners":
        positions = [index * (old - 1) / (new - 1) for index in range(new)] if new > 1 else [0.0]
    else:
        shift = 0.0 if mode == "asymmetric" or (mode == "pytorch_half_pixel" and new == 1) else 0.5
        positions = [(index + shift) / scale - shift for index in range(new)]
    return any(isclose(position % 1, 0.5, abs_tol=_HALF) for position in positions if 0 <= position <= old - 1)
