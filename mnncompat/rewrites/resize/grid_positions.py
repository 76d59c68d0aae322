"""Positions of a GridSample: conversion from [-1, 1] to elements and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value


def elements_of(grid: Value, sizes: Sequence[int], *, corners: bool) -> Value:
    """A grid in [-1, 1] (last dimension x, y, z) in elements.

    Args:
        grid: The grid.
        sizes: Size of the image along x, y, z.
        corners: -1 and 1 are the centres of the outer elements, not their edges.
    """
    lengths = np.asarray(sizes, grid.element)
    if corners:
        return (grid + 1) * 0.5 * (lengths - 1).astype(grid.element)
    return ((grid + 1) * lengths - 1) * 0.5


def shares_of(places: Value, sizes: Sequence[int], *, corners: bool) -> Value:
    """The reverse of `elements_of`."""
    lengths = np.asarray(sizes, np.float64)
    scale, offset = (2 / (lengths - 1), -np.ones(len(sizes))) if corners else (2 / lengths, 1 / lengths - 1)
    return places * scale.astype(places.element) + offset.astype(places.element)


def reflected(grid: Value, new: SubgraphBuilder) -> Value:
    """A grid folded into [-1, 1] at -1 and 1."""
    shifted = grid + 1
    turns = new.op("Floor", shifted * 0.25)
    return 1 - new.op("Abs", shifted - turns * 4 - 2)


def to_even(places: Value, new: SubgraphBuilder) -> Value:
    """Rounded, halves to the even neighbour.

    ``Floor(x + 1/2)`` takes halves up; ``x/2 - 1/4`` is whole for those that must be rounded down instead.
    """
    quarter = places * 0.5 - 0.25
    down = new.op("Ceil", quarter) - new.op("Floor", quarter) - 1
    return new.op("Floor", places + 0.5) + down
