"""Operators that change a tensor's shape and keep its values: Reshape, Squeeze, Transpose, Expand, Tile, ..."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import ANYTHING, Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

Shape = tuple[int, ...]
_AXES_ARE_INPUT = 13
_NEGATIVE_AXES = 11
_IMAGE = 4
_ALLOW_ZERO = 14


@generator("Reshape", weight=80, precision=Precision.EXACT)
def reshape(draw: Draw) -> None:
    """Flattening, splitting of heads, merging; `-1` and `0` in constant targets; targets computed from Shape."""
    shape = draw.shape()
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    if len(shape) > 1 and draw.chance(0.15):
        target = _computed_target(draw, x, len(shape))
    else:
        fed = draw.chance(0.06)
        target = draw.integers(_target(draw, shape, plain=fed), "shape", constant=0.0 if fed else 1.0)
    draw.emit(x, target, allowzero=0 if draw.version >= _ALLOW_ZERO and draw.chance(0.5) else None)


def _target(draw: Draw, shape: Shape, *, plain: bool) -> list[int]:
    """A target; unless it is plain, one dimension of it is written as -1 and the first ones as 0 in some."""
    axis = draw.integer(0, len(shape) - 1)
    divisor = next((each for each in (2, 3) if shape[axis] % each == 0), 1)
    dims = draw.weighted(
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
    if draw.chance(0.6):
        target[draw.integer(0, len(target) - 1)] = -1
    if draw.chance(0.15):
        for index in range(min(len(target), len(shape), 2)):
            if target[index] != shape[index]:
                break
            target[index] = 0
    return target


def _computed_target(draw: Draw, x: str, rank: int) -> str:
    """What `x.view(x.size(0), -1)` becomes: Shape, Gather, Unsqueeze, Concat."""
    (sizes,) = draw.node("Shape", [x])
    kept = draw.integer(1, rank - 1)
    parts = []
    for axis in range(kept):
        (size,) = draw.node("Gather", [sizes, draw.constant(np.array(axis), "index")], axis=0)
        parts.append(unsqueezed(draw, size, [0]))
    parts.append(draw.constant(np.array([-1]), "rest"))
    return draw.node("Concat", parts, axis=0)[0]


def unsqueezed(draw: Draw, value: str, axes: list[int]) -> str:
    """Add an Unsqueeze in the form of the opset: axes as an attribute, or as an operand from 13 on."""
    if draw.opset < _AXES_ARE_INPUT:
        return draw.node("Unsqueeze", [value], axes=axes)[0]
    return draw.node("Unsqueeze", [value, draw.initializer(np.array(axes), "axes")])[0]


@generator("Flatten", weight=26, precision=Precision.EXACT)
def flatten(draw: Draw) -> None:
    """Axis 1 or absent mostly."""
    shape = draw.shape(1, 5)
    axis = draw.weighted({None: 3.0, 1: 4.0, 0: 0.6, min(2, len(shape)): 1.0, len(shape): 0.3, -1: 0.8})
    if axis == -1 and draw.version < _NEGATIVE_AXES:
        axis = 1
    draw.emit(draw.input(draw.normal(shape, draw.dtype(ANYTHING))), axis=axis)


@generator("Squeeze", weight=44, precision=Precision.EXACT)
def squeeze(draw: Draw) -> None:
    """Axes as an attribute or an operand; absent: all dimensions of one."""
    shape = list(draw.shape(1, 4, least=2))
    count = draw.weighted({1: 6.0, 2: 2.0})
    for _ in range(count):
        shape.insert(draw.integer(0, len(shape)), 1)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    chosen = sorted(set(ones[: draw.integer(1, len(ones))]))
    _emit_axes(draw, x, None if draw.chance(0.15) else _signed(draw, chosen, len(shape)))


@generator("Unsqueeze", weight=44, precision=Precision.EXACT)
def unsqueeze(draw: Draw) -> None:
    """One axis mostly, two or three at times, in any order; scalars too."""
    shape = draw.shape(1, 4) if draw.chance(0.92) else ()
    count = draw.weighted({1: 6.0, 2: 2.0, 3: 0.3})
    rank = len(shape) + count
    chosen = [int(axis) for axis in draw.random.permutation(rank)[:count]]
    if draw.chance(0.8):
        chosen.sort()
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    _emit_axes(draw, x, _signed(draw, chosen, rank))


def _signed(draw: Draw, axes: list[int], rank: int) -> list[int]:
    negative = draw.opset >= _NEGATIVE_AXES and draw.chance(0.4)
    return [axis - rank for axis in axes] if negative else axes


def _emit_axes(draw: Draw, x: str, axes: list[int] | None) -> None:
    if draw.opset < _AXES_ARE_INPUT:
        draw.emit(x, axes=axes)
    elif axes is None:
        draw.emit(x)
    else:
        draw.emit(x, draw.integers(axes, "axes", constant=0.99))


@generator("Transpose", weight=50, precision=Precision.EXACT)
def transpose(draw: Draw) -> None:
    """Layout changes, swaps of the last two, any permutation; no `perm` reverses."""
    shape = draw.shape(1, 5)
    rank = len(shape)
    forms: dict[tuple[int, ...], float] = {tuple(int(each) for each in draw.random.permutation(rank)): 4.0}
    if rank >= 2:  # noqa: PLR2004 - something to swap
        forms[(*range(rank - 2), rank - 1, rank - 2)] = 2.0
    if rank == _IMAGE:
        forms |= {(0, 2, 3, 1): 3.0, (0, 3, 1, 2): 3.0, (0, 2, 1, 3): 3.0}
    perm = None if draw.chance(0.1) else draw.weighted(forms)
    draw.emit(draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data"), perm=perm)


@generator("Expand", weight=50, precision=Precision.EXACT)
def expand(draw: Draw) -> None:
    """Targets constant, computed from another tensor's Shape, or fed; ones in the target keep the input's size."""
    goal = draw.shape(2, 5)
    start = tuple(1 if draw.chance(0.45) else size for size in goal)[draw.weighted({0: 5.0, 1: 2.0}) :]
    x = draw.input(draw.normal(start, draw.dtype(ANYTHING)))
    if draw.chance(0.15):
        (target,) = draw.node("Shape", [draw.input(draw.normal(goal), "like")])
    else:
        sizes = [1 if draw.chance(0.15) and size in start else size for size in goal]
        target = draw.integers(sizes, "shape", constant=0.9)
    draw.emit(x, target)


@generator("Tile", weight=32, precision=Precision.EXACT)
def tile(draw: Draw) -> None:
    """One dimension repeated mostly."""
    shape = draw.shape(1, 4)
    repeats = [draw.weighted({1: 5.0, 2: 3.0, 3: 1.0}) for _ in shape]
    draw.emit(draw.input(draw.normal(shape, draw.dtype(ANYTHING))), draw.integers(repeats, "repeats", constant=0.9))


@generator("Identity", weight=10, precision=Precision.EXACT)
def identity(draw: Draw) -> None:
    """Between the graph's input and output, behind a node, or on a constant."""
    values = draw.normal(draw.shape(), draw.dtype(ANYTHING))
    form = draw.weighted({"through": 4.0, "behind": 3.0, "constant": 1.0})
    if form == "through":
        draw.emit(draw.input(values))
    elif form == "behind":
        draw.emit(*draw.node("Abs" if values.dtype != np.bool_ else "Not", [draw.input(values)]))
    else:
        (same,) = draw.emit(draw.initializer(values))
        x = draw.input(values)
        draw.node(*(("Or", [x, same]) if values.dtype == np.bool_ else ("Sub", [x, same])))


@generator("DepthToSpace", "SpaceToDepth", weight=30, precision=Precision.EXACT)
def depth(draw: Draw) -> None:
    """Pixel shuffles, block of 2 mostly; `mode` DCR and CRD where the version has it."""
    block = draw.weighted({2: 6.0, 3: 1.0, 4: 1.0})
    channels, height, width = draw.pick((1, 2, 3, 4)), draw.dim(1, 5), draw.dim(1, 5)
    batch, dtype = draw.batch(), draw.dtype({"float32": 85.0, "float16": 10.0, "float64": 3.0, "uint8": 2.0})
    if draw.op == "DepthToSpace":
        shape = (batch, channels * block * block, height, width)
    else:
        shape = (batch, channels, height * block, width * block)
    x = draw.input(draw.normal(shape, dtype))
    modes = ("CRD", "DCR") if draw.op == "DepthToSpace" else ("DCR", "DCR", "CRD")
    draw.emit(x, blocksize=block, **draw.attributes(0.35, mode=modes))
