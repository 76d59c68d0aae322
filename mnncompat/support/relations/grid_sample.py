"""Relations of positions and paddings; see `mnncompat.support.relations.catalog`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.window_geometry import Windows, windows_of

_PACK = 4
_CLOSE = 1e-4
"""Of an element: nearer to a half, rounding may decide."""

_ROUNDING = frozenset(["Floor", "Ceil", "Round"])
_ARITHMETIC = frozenset(
    [
        "Abs",
        "Add",
        "Clip",
        "Concat",
        "Div",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Reshape",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ]
)


def grid_meets_no_halves(facts: NodeFacts) -> bool | None:
    """No position of the grid lies half way between two elements: it is stored, or computed from rounded positions."""
    grid = facts.constant(facts.node.input[1])
    if grid is not None:
        shape = facts.shape(facts.node.input[0])
        return (
            None
            if shape is None
            else _avoids_halves(grid, shape[:1:-1], corners=bool(facts.attribute("align_corners")))
        )
    pending, seen, rounded = [facts.node.input[1]], set[str](), False
    while pending:
        name = pending.pop()
        node = facts.view.producer(name)
        if name in seen or facts.constant(name) is not None:
            continue
        seen.add(name)
        if node is None or node.op_type not in _ARITHMETIC | _ROUNDING:
            return False
        if node.op_type in _ROUNDING:
            rounded = True
        else:
            pending.extend(node.input[:1] if node.op_type in ("Reshape", "Squeeze", "Unsqueeze") else node.input)
    return rounded


def _avoids_halves(grid: NDArray[Any], sizes: Sequence[Dim], *, corners: bool) -> bool | None:
    lengths = [size for size in sizes if isinstance(size, int)]
    if len(lengths) != len(sizes):
        return None
    shares, counts = grid.astype(np.float64) + 1, np.asarray(lengths)
    places = shares / 2 * (counts - 1) if corners else (shares * counts - 1) / 2
    return bool(np.all(np.abs(places - np.floor(places) - 0.5) > _CLOSE))


def end_padding_changes_count(facts: NodeFacts) -> bool | None:
    """With the padding before the data on both sides there would be another number of windows along some axis."""
    kernel, shape = facts.attribute("kernel_shape"), facts.shape(facts.node.input[0])
    windows = None if shape is None else windows_of(facts, kernel, shape[2:])
    if windows is None:
        return None
    found = [_changes_count(each) for each in windows if each.begin != each.end]
    return True if True in found else None if None in found else False


def _changes_count(windows: Windows) -> bool | None:
    if windows.stride == 1:
        return True
    return None if windows.size is None else windows.count != replace(windows, end=windows.begin).count


def groups_change_channels(facts: NodeFacts) -> bool | None:
    """A transposed convolution in groups, each of which has not as many channels before as behind."""
    group = int(facts.attribute("group") or 1)
    image, weight = (facts.shape(name) for name in facts.node.input[:2])
    if group == 1:
        return False
    if image is None or weight is None or not isinstance(image[1], int) or not isinstance(weight[1], int):
        return None
    return image[1] != weight[1] * group


def joins_small_groups(facts: NodeFacts) -> bool | None:
    """A constant of one element a channel is added to a convolution in groups that MNN makes one convolution of.

    It does so where each group has fewer channels, before and behind, than there are groups, and fewer than 4 behind;
    depthwise convolutions stay.
    """
    source, constant = facts.view.producer(facts.node.input[0]), facts.node.input[1]
    if source is None or source.op_type != "Conv" or not facts.is_constant(constant):
        return False
    group = next((int(each.i) for each in source.attribute if each.name == "group"), 1)
    weight = facts.shape(source.input[1])
    if weight is None or len(weight) != len("OIHW"):
        return False
    if not isinstance(weight[0], int) or not isinstance(weight[1], int):
        return None
    before, behind = weight[1], weight[0] // group
    if not (before < group and behind < min(group, _PACK)) or (before, behind) == (1, 1):
        return False
    return facts.elements(constant) == weight[0]


def batch_is_not_single(facts: NodeFacts) -> bool | None:
    """The first dimension of input 0 is not 1 for certain: a dynamic one is taken for several images."""
    shape = facts.shape(facts.node.input[0])
    return None if shape is None else shape[0] != 1


POSITION_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        grid_meets_no_halves,
        end_padding_changes_count,
        groups_change_channels,
        joins_small_groups,
        batch_is_not_single,
    )
}
