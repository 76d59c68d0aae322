"""Operators that change a tensor's shape and keep its values: Reshape, Squeeze, Transpose, Expand, Tile, ..."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import ANYTHING, Sample

Shape = tuple[int, ...]
_AXES_ARE_INPUT = 13
_NEGATIVE_AXES = 11
_IMAGE = 4
_ALLOW_ZERO = 14


@generator("Reshape", weight=80, precision=Precision.EXACT)
def reshape(sample: Sample) -> None:
    """Flattening, splitting of heads, merging; `-1` and `0` in constant targets; targets computed from Shape."""
    shape = sample.shape()
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    if len(shape) > 1 and sample.chance(0.15):
        target = _computed_target(sample, x, len(shape))
    else:
        fed = sample.chance(0.06)
        target = sample.integers(_target(sample, shape, plain=fed), "shape", constant=0.0 if fed else 1.0)
    sample.emit(x, target, allowzero=0 if sample.version >= _ALLOW_ZERO and sample.chance(0.5) else None)


def _target(sample: Sample, shape: Shape, *, plain: bool) -> list[int]:
    """A target; unless it is plain, one dimension of it is written as -1 and the first ones as 0 in some."""
    axis = sample.integer(0, len(shape) - 1)
    divisor = next((each for each in (2, 3) if shape[axis] % each == 0), 1)
    dims = sample.weighted(
        {
            (shape[0], int(np.prod(shape[1:]))): 3.0,
            (*shape[:axis], divisor, shape[axis] // divisor, *shape[axis + 1 :]): 3.0,
            (*shape[:axis], int(np.prod(shape[axis : axis + 2])), *shape[axis + 2 :]): 3.0,
            (int(np.prod(shape)),): 1.0,
            (1, *shape): 1.0,
            tuple(reversed(shape)): 0.5,
            shape: 0.3,
        }
    )
    target = list(dims)
    if plain:
        return target
    if sample.chance(0.6):
        target[sample.integer(0, len(target) - 1)] = -1
    if sample.chance(0.15):
        for index in range(min(len(target), len(shape), 2)):
            if target[index] != shape[index]:
                break
            target[index] = 0
    return target


def _computed_target(sample: Sample, x: str, rank: int) -> str:
    """What `x.view(x.size(0), -1)` becomes: Shape, Gather, Unsqueeze, Concat."""
    (sizes,) = sample.node("Shape", [x])
    kept = sample.integer(1, rank - 1)
    parts = []
    for axis in range(kept):
        (size,) = sample.node("Gather", [sizes, sample.constant(np.array(axis), "index")], axis=0)
        parts.append(unsqueezed(sample, size, [0]))
    parts.append(sample.constant(np.array([-1]), "rest"))
    return sample.node("Concat", parts, axis=0)[0]


def unsqueezed(sample: Sample, value: str, axes: list[int]) -> str:
    """Add an Unsqueeze in the form of the opset: axes as an attribute, or as an operand from 13 on."""
    if sample.opset < _AXES_ARE_INPUT:
        return sample.node("Unsqueeze", [value], axes=axes)[0]
    return sample.node("Unsqueeze", [value, sample.initializer(np.array(axes), "axes")])[0]


@generator("Flatten", weight=26, precision=Precision.EXACT)
def flatten(sample: Sample) -> None:
    """Axis 1 or absent mostly."""
    shape = sample.shape(1, 5)
    axis = sample.weighted({None: 3.0, 1: 4.0, 0: 0.6, min(2, len(shape)): 1.0, len(shape): 0.3, -1: 0.8})
    if axis == -1 and sample.version < _NEGATIVE_AXES:
        axis = 1
    sample.emit(sample.input(sample.normal(shape, sample.dtype(ANYTHING))), axis=axis)


@generator("Squeeze", weight=44, precision=Precision.EXACT)
def squeeze(sample: Sample) -> None:
    """Axes as an attribute or an operand; absent: all dimensions of one."""
    shape = list(sample.shape(1, 4, least=2))
    count = sample.weighted({1: 6.0, 2: 2.0})
    for _ in range(count):
        shape.insert(sample.integer(0, len(shape)), 1)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    chosen = sorted(set(ones[: sample.integer(1, len(ones))]))
    _emit_axes(sample, x, None if sample.chance(0.15) else _signed(sample, chosen, len(shape)))


@generator("Unsqueeze", weight=44, precision=Precision.EXACT)
def unsqueeze(sample: Sample) -> None:
    """One axis mostly, two or three at times, in any order; scalars too."""
    shape = sample.shape(1, 4) if sample.chance(0.92) else ()
    count = sample.weighted({1: 6.0, 2: 2.0, 3: 0.3})
    rank = len(shape) + count
    chosen = [int(axis) for axis in sample.random.permutation(rank)[:count]]
    if sample.chance(0.8):
        chosen.sort()
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    _emit_axes(sample, x, _signed(sample, chosen, rank))


def _signed(sample: Sample, axes: list[int], rank: int) -> list[int]:
    negative = sample.opset >= _NEGATIVE_AXES and sample.chance(0.4)
    return [axis - rank for axis in axes] if negative else axes


def _emit_axes(sample: Sample, x: str, axes: list[int] | None) -> None:
    if sample.opset < _AXES_ARE_INPUT:
        sample.emit(x, axes=axes)
    elif axes is None:
        sample.emit(x)
    else:
        sample.emit(x, sample.integers(axes, "axes", constant=0.99))


@generator("Transpose", weight=50, precision=Precision.EXACT)
def transpose(sample: Sample) -> None:
    """Layout changes, swaps of the last two, any permutation; no `perm` reverses."""
    shape = sample.shape(1, 5)
    rank = len(shape)
    forms: dict[tuple[int, ...], float] = {tuple(int(each) for each in sample.random.permutation(rank)): 4.0}
    if rank >= 2:  # noqa: PLR2004 - something to swap
        forms[(*range(rank - 2), rank - 1, rank - 2)] = 2.0
    if rank == _IMAGE:
        forms |= {(0, 2, 3, 1): 3.0, (0, 3, 1, 2): 3.0, (0, 2, 1, 3): 3.0}
    perm = None if sample.chance(0.1) else sample.weighted(forms)
    sample.emit(sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data"), perm=perm)


@generator("Expand", weight=50, precision=Precision.EXACT)
def expand(sample: Sample) -> None:
    """Targets constant, computed from another tensor's Shape, or fed; ones in the target keep the input's size."""
    goal = sample.shape(2, 5)
    start = tuple(1 if sample.chance(0.45) else size for size in goal)[sample.weighted({0: 5.0, 1: 2.0}) :]
    x = sample.input(sample.normal(start, sample.dtype(ANYTHING)))
    if sample.chance(0.15):
        (target,) = sample.node("Shape", [sample.input(sample.normal(goal), "like")])
    else:
        sizes = [1 if sample.chance(0.15) and size in start else size for size in goal]
        target = sample.integers(sizes, "shape", constant=0.9)
    sample.emit(x, target)


@generator("Tile", weight=32, precision=Precision.EXACT)
def tile(sample: Sample) -> None:
    """One dimension repeated mostly."""
    shape = sample.shape(1, 4)
    repeats = [sample.weighted({1: 5.0, 2: 3.0, 3: 1.0}) for _ in shape]
    sample.emit(
        sample.input(sample.normal(shape, sample.dtype(ANYTHING))), sample.integers(repeats, "repeats", constant=0.9)
    )


@generator("Identity", weight=10, precision=Precision.EXACT)
def identity(sample: Sample) -> None:
    """Between the graph's input and output, behind a node, or on a constant."""
    values = sample.normal(sample.shape(), sample.dtype(ANYTHING))
    form = sample.weighted({"through": 4.0, "behind": 3.0, "constant": 1.0})
    if form == "through":
        sample.emit(sample.input(values))
    elif form == "behind":
        sample.emit(*sample.node("Abs" if values.dtype != np.bool_ else "Not", [sample.input(values)]))
    else:
        (same,) = sample.emit(sample.initializer(values))
        x = sample.input(values)
        sample.node(*(("Or", [x, same]) if values.dtype == np.bool_ else ("Sub", [x, same])))


@generator("DepthToSpace", "SpaceToDepth", weight=30, precision=Precision.EXACT)
def depth(sample: Sample) -> None:
    """Pixel shuffles, block of 2 mostly; `mode` DCR and CRD where the version has it."""
    block = sample.weighted({2: 6.0, 3: 1.0, 4: 1.0})
    channels, height, width = sample.pick((1, 2, 3, 4)), sample.dim(1, 5), sample.dim(1, 5)
    batch, dtype = sample.batch(), sample.dtype({"float32": 85.0, "float16": 10.0, "float64": 3.0, "uint8": 2.0})
    if sample.op == "DepthToSpace":
        shape = (batch, channels * block * block, height, width)
    else:
        shape = (batch, channels, height * block, width * block)
    x = sample.input(sample.normal(shape, dtype))
    modes = ("CRD", "DCR") if sample.op == "DepthToSpace" else ("DCR", "DCR", "CRD")
    sample.emit(x, blocksize=block, **sample.attributes(0.35, mode=modes))
