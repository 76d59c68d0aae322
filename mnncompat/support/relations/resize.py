"""Relations between dtypes, constants and sizes of one node's operands; see `mnncompat.support.relations.catalog`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, isclose, prod

from onnx import NodeProto

from mnncompat.graph.protos import Dim, attribute
from mnncompat.support.node_facts import NodeFacts

OPERAND_RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {}
_FLOATS = frozenset(("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"))
_HALF = 1e-4  # float32 scales such as 0.6 are not exact
_IMAGE_RANK = 4
_ROI_SINCE = 11  # from this opset on, the scales of a Resize are its third input


def _relation(function: Callable[[NodeFacts], bool | None]) -> Callable[[NodeFacts], bool | None]:
    OPERAND_RELATIONS[function.__name__.strip("_").replace("_", "-")] = function
    return function


@_relation
def _operand_kinds_differ(facts: NodeFacts) -> bool | None:
    """One of inputs 0 and 1 is a floating-point tensor, the other one an integer: MNN does not promote either."""
    dtypes = [facts.dtype(name) for name in facts.node.input[:2]]
    if None in dtypes:
        return None
    return len({dtype in _FLOATS for dtype in dtypes}) > 1


@_relation
def _update_slices_misread(facts: NodeFacts) -> bool | None:
    """MNN takes the slices of ScatterND's updates to begin at axis K, the length of an index tuple, which is not so.

    They begin at the rank of the indices less one. It is harmless where both give slices of the same size.
    """
    indices, updates = (facts.shape(facts.node.input[position]) for position in (1, 2))
    if indices is None or updates is None or not isinstance(indices[-1], int):
        return None
    right, taken = updates[len(indices) - 1 :], updates[indices[-1] :]
    return None if None in (right + taken) else _times(right) != _times(taken)


@_relation
def _reverses_behind_many(facts: NodeFacts) -> bool | None:
    """The axes of the result before the last three hold more than one element together, as dynamic ones do."""
    shape = facts.shape(facts.node.output[0])
    return None if shape is None else any(dim != 1 for dim in shape[: max(len(shape) - 3, 0)])


@_relation
def _last_operand_alone_is_broadcast(facts: NodeFacts) -> bool | None:
    """Input 1 has as many elements as the result, input 2 fewer, but more than one."""
    shapes = [facts.shape(name) for name in (facts.node.input[1], facts.node.input[2], facts.node.output[0])]
    first, second, result = shapes
    if first is None or second is None or result is None or None in (first + second + result):
        return None
    return _times(first) == _times(result) and _times(second) not in (_times(result), (1, ()))


@_relation
def _both_are_broadcast(facts: NodeFacts) -> bool | None:
    """Inputs 0 and 1 are each stretched along an axis; a dynamic size counts as more than one."""
    one, two = (facts.shape(name) for name in facts.node.input[:2])
    if one is None or two is None:
        return None
    rank = max(len(one), len(two))
    pairs = list(zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(two)) + two, strict=True))
    return any(a == 1 != b for a, b in pairs) and any(b == 1 != a for a, b in pairs)


def _times(dims: Sequence[Dim]) -> tuple[int, tuple[str, ...]]:
    """The number of elements: the product of the known sizes, and the names of the others."""
    return prod(dim for dim in dims if isinstance(dim, int)), tuple(dim for dim in dims if isinstance(dim, str))


@_relation
def _axes_are_height_and_width(facts: NodeFacts) -> bool | None:
    """Attribute ``axes`` names the last two of four axes, in this order."""
    rank = facts.rank(facts.node.input[0])
    if rank is None:
        return None
    return rank == _IMAGE_RANK and [axis % rank for axis in facts.attribute("axes") or ()] == [2, 3]


@_relation
def _positions_half_way(facts: NodeFacts) -> bool | None:
    """A Resize puts an element of the result half way between two elements of the input: how to round matters."""
    sizes = _resized(facts)
    if sizes is None:
        return None
    mode = facts.attribute("coordinate_transformation_mode")
    return any(_falls_half_way(mode, *each) for each in sizes)


@_relation
def _a_part_is_empty(facts: NodeFacts) -> bool | None:
    """A size that a Split is given (input 1) is 0 although others are not; or computed as a value less itself."""
    name = facts.operand(1)
    if name is None:
        return False
    sizes = facts.constant(name)
    if sizes is not None:
        return bool((sizes == 0).any() and (sizes != 0).any())
    node = facts.view.producer(_origin(facts, name))
    if node is None or node.op_type != "Concat":
        return None
    return any(_is_nothing(facts, part) for part in node.input) or None


def _is_nothing(facts: NodeFacts, name: str) -> bool:
    node = facts.view.producer(_origin(facts, name))
    return node is not None and node.op_type == "Sub" and len({_origin(facts, each) for each in node.input}) == 1


def _origin(facts: NodeFacts, name: str) -> str:
    node = facts.view.producer(name)
    while node is not None and node.op_type == "Identity":
        name = node.input[0]
        node = facts.view.producer(name)
    return name


@_relation
def _old_nearest_differs(facts: NodeFacts) -> bool | None:
    """A nearest Resize of opset 10 takes other elements than half_pixel with round_prefer_floor does."""
    sizes = _resized(facts)
    return None if sizes is None else any(_old_nearest(*each) != _half_pixel_nearest(*each) for each in sizes)


def _old_nearest(old: int, new: int, scale: float) -> list[int]:
    """As ONNX Runtime reads opset 10: asymmetric, down when enlarging, up when shrinking."""
    positions = [index / scale for index in range(new)]
    return [min(floor(each + _HALF) if scale > 1 else ceil(each - _HALF), old - 1) for each in positions]


def _half_pixel_nearest(old: int, new: int, scale: float) -> list[int]:
    positions = [(index + 0.5) / scale - 0.5 for index in range(new)]
    return [min(max(ceil(each - 0.5 - _HALF), 0), old - 1) for each in positions]


@_relation
def _axes_name_all_in_order(facts: NodeFacts) -> bool | None:
    """The constant axes of a Pad (input 3) are all axes of input 0, the first one first."""
    name, rank = facts.operand(3), facts.rank(facts.node.input[0])
    axes = None if name is None else facts.constant(name)
    if axes is None or rank is None:
        return None
    return [int(axis) % max(rank, 1) for axis in axes.flat] == list(range(rank))


@_relation
def _scaled_size_is_fractional(facts: NodeFacts) -> bool | None:
    """A size of input 0 times its scale is no whole number, so that the sizes have another ratio than the scale."""
    shape = facts.shape(facts.node.input[0])
    scales = facts.attribute("scales") or _scales(facts)
    if shape is None or scales is None or len(scales) != len(shape):
        return None
    sizes = [size * scale if isinstance(size, int) else None for size, scale in zip(shape, scales, strict=True)]
    if any(size is not None and not isclose(size, round(size), abs_tol=_HALF) for size in sizes):
        return True
    return None if any(size is None and scale % 1 for size, scale in zip(sizes, scales, strict=True)) else False


@_relation
def _sequence_is_uneven(facts: NodeFacts) -> bool | None:
    """The elements of a sequence (input 0) differ in shape: parts of a split, or operands of a SequenceConstruct."""
    node = facts.view.producer(_origin(facts, facts.node.input[0]))
    if node is None:
        return None
    if node.op_type == "SequenceConstruct":
        shapes = {facts.shape(name) for name in node.input}
        return None if None in shapes else len(shapes) > 1
    if node.op_type != "SplitToSequence":
        return None
    return _splits_unevenly(facts, node) if len(node.input) > 1 and node.input[1] else False


def _splits_unevenly(facts: NodeFacts, node: NodeProto) -> bool | None:
    parts, shape = facts.constant(node.input[1]), facts.shape(node.input[0])
    if parts is None:
        return None
    if parts.ndim:
        return bool((parts != parts[0]).any())
    axis = int(attribute(node, "axis", 0))
    size = None if shape is None else shape[axis]
    return size % int(parts) != 0 if isinstance(size, int) else None


def _scales(facts: NodeFacts) -> Sequence[float] | None:
    name = facts.operand(1 if facts.opset < _ROI_SINCE else 2)
    scales = None if name is None else facts.constant(name)
    return None if scales is None or not scales.size else [float(scale) for scale in scales.flat]


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
