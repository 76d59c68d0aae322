"""Relations of reductions and of other operators along an axis: which axes are named, and how long they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mnncompat.graph.operator_traits import FINDERS, SIZES
from mnncompat.graph.protos import Dim
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import operand_shape
from mnncompat.support.relations.registry import relation
from mnncompat.support.three_valued import any_of


@relation(
    holds="(float[2,3] x) => (float[1,1] y) <int64[2] a = {0, 1}> { y = ReduceL1(x, a) }",
    fails="(float[2,3] x) => (float[2,1] y) <int64[1] a = {1}> { y = ReduceL1(x, a) }",
    opset=18,
)
def axes_cover_every_dimension(facts: NodeFacts) -> bool | None:
    """The constant axes (input 1) are all axes of input 0, or all but those of size 1, which are kept."""
    shape = operand_shape(facts, 0)
    axes = facts.numbers_through_casts(facts.node.input[1])
    if axes is None or shape is None:
        return None
    others = set(range(len(shape))) - {int(axis) % max(len(shape), 1) for axis in axes}
    return not others or (facts.attribute("keepdims") == 1 and all(shape[axis] == 1 for axis in others))


@relation(
    holds="(float[1,2,3] x) => (float[1,2,3] y) { y = LogSoftmax<axis=1>(x) }",
    fails="(float[1,2,3] x) => (float[1,2,3] y) { y = LogSoftmax<axis=2>(x) }",
    opset=11,
)
def dimensions_follow_axis(facts: NodeFacts) -> bool | None:
    """Axes after that of attribute ``axis`` hold more than one element: in 2-D form, the sums are over all of them."""
    shape = operand_shape(facts, 0)
    if shape is None:
        return None
    after = shape[facts.attribute("axis") % max(len(shape), 1) + 1 :]
    return any_of([None if not isinstance(dim, int) else dim > 1 for dim in after])


@relation(
    holds=(
        '(float[3] x, int64[1] i, float[1] u) => (float[3] y) { y = ScatterElements<axis=0, reduction="add">(x, i, u) }'
    ),
    fails=(
        '(float[3] x, int64[1] i, float[1] u) => (float[3] y) { y = ScatterElements<reduction="add", axis=0>(x, i, u) }'
    ),
)
def axis_attribute_precedes_reduction(facts: NodeFacts) -> bool:
    """The node states attribute ``axis`` before ``reduction``: MNN stops reading attributes at the first of both."""
    names = [attribute.name for attribute in facts.node.attribute]
    return "axis" in names and "reduction" in names and names.index("axis") < names.index("reduction")


@relation(
    holds="(float[2,3] x, bool[2] c) => (float[N,3] y) { y = Compress<axis=-2>(x, c) }",
    fails="(float[2,3] x, bool[2] c) => (float[N,3] y) { y = Compress<axis=0>(x, c) }",
)
def negative_axis_names_first(facts: NodeFacts) -> bool | None:
    """Attribute ``axis`` is negative and names the first axis."""
    axis, shape = facts.attribute("axis"), facts.shape(facts.node.input[0])
    if axis is None or axis >= 0:
        return False
    return None if shape is None else axis == -len(shape)


@relation(
    holds="(float[2,1] x) => (int64[2,1] y) { y = ArgMax<axis=1>(x) }",
    fails="(float[2,3] x) => (int64[2,1] y) { y = ArgMax<axis=1>(x) }",
)
def axis_has_one_element(facts: NodeFacts) -> bool | None:
    """The axis that attribute ``axis`` names has one element."""
    shape = facts.shape(facts.node.input[0])
    if not shape:
        return None
    size = shape[facts.attribute("axis") % len(shape)]
    return size == 1 if isinstance(size, int) else None


@relation(
    holds="(float[2,3] x) => (float[2,1] y) { e = Exp(x) s = ReduceSum<axes=[1]>(e) y = Log(s) }",
    fails="(float[2,3] x) => (float[2,1] y) { m = ReduceMax<axes=[1]>(x) d = Sub(x, m) e = Exp(d) "
    "s = ReduceSum<axes=[1]>(e) y = Log(s) }",
    opset=11,
)
def logarithm_of_summed_exponentials(facts: NodeFacts) -> bool:
    """Input 0 is a ReduceSum of an Exp from whose operand nothing was subtracted."""
    chain: list[str] = []
    name = facts.operand(0)
    while name is not None and len(chain) < _LOG_SUM_EXP:
        node = facts.view.producer(name)
        if node is None:
            break
        chain.append(node.op_type)
        name = node.input[0] if node.input else None
    return chain[:2] == ["ReduceSum", "Exp"] and chain[2:] != ["Sub"]


_LOG_SUM_EXP = 3
"""Nodes before the logarithm that tell: the sum, the exponential, and what it is of."""


_KEPT = (
    "(float[6,2] x, bool[6] c) => (float{0} y) <float[3] k = {{1, 2, 3}}> {{ g = Compress<axis=0>(x, c) h = Exp(g) "
    "y = {1} }}"
)


@relation(
    holds=_KEPT.format("", "ReduceSum<keepdims=0>(h)"),
    fails=_KEPT.format("", "ReduceSum<keepdims=0>(k)"),
    within=FINDERS,
)
def several_axes_may_hold_nothing(facts: NodeFacts) -> bool | None:
    """Not one axis but several, or all, are reduced, and no element may be left to reduce.

    That is so behind NonZero, Compress and NonMaxSuppression, which may find nothing. MNN's `GeometryReduce`
    then makes the result a constant, of which it writes the first element, and which later runs do not change.
    """
    axes = _axes_that_may_hold_nothing(facts)
    return None if axes is None else len(axes) > 1 or _names_no_axes(facts, axes)


@relation(
    holds=_KEPT.format("[2]", "ReduceMax<axes=[0], keepdims=0>(h)"),
    fails=_KEPT.format("[K]", "ReduceMax<axes=[1], keepdims=0>(h)"),
    within=FINDERS,
)
def reduced_axis_may_hold_nothing(facts: NodeFacts) -> bool | None:
    """No element may be left to reduce, behind NonZero, Compress and NonMaxSuppression."""
    axes = _axes_that_may_hold_nothing(facts)
    return None if axes is None else bool(axes)


@relation(
    holds=_KEPT.format("[2,2]", "Gemm<transA=1>(h, h)"),
    fails=_KEPT.format("[K,K]", "Gemm<transB=1>(h, h)"),
    within=FINDERS,
)
def summed_products_may_be_none(facts: NodeFacts) -> bool:
    """The common dimension of both matrices is as long as what was found, which may be nothing."""
    shape = operand_shape(facts, 0)
    if not shape:
        return False
    common = shape[-2] if facts.node.op_type == "Gemm" and facts.attribute("transA") else shape[-1]
    return _is_open(common) and _is_found(facts.view, facts.node.input[0])


@relation(
    holds=_KEPT.format("[K,2]", "Pad(h, p, t)").replace(
        "{1, 2, 3}", "{1, 2, 3}, int64[4] p = {1, 0, 0, 0}, float t = {2}"
    ),
    fails=_KEPT.format("[K,3]", "Pad(h, p, t)").replace(
        "{1, 2, 3}", "{1, 2, 3}, int64[4] p = {0, 1, 0, 0}, float t = {2}"
    ),
    within=FINDERS,
)
def padded_may_be_nothing(facts: NodeFacts) -> bool | None:
    """A dimension that is padded, with another number than 0, is as long as what was found, which may be nothing."""
    shape, number = operand_shape(facts, 0), facts.operand(2)
    if number is None or (shape is not None and not any(_is_open(dim) for dim in shape)):
        return False
    pads, value = (facts.numbers_through_casts(name) for name in (facts.node.input[1], number))
    if value is not None and not any(value):
        return False
    if not _is_found(facts.view, facts.node.input[0]):
        return False
    if pads is None or shape is None:
        return None
    added = list(pads)
    return any(_is_open(dim) and added[axis] + added[axis + len(shape)] > 0 for axis, dim in enumerate(shape))


def _axes_that_may_hold_nothing(facts: NodeFacts) -> Sequence[int] | None:
    """The reduced axes, if one of them is as long as what was found; none otherwise. None if they are not known."""
    shape = operand_shape(facts, 0)
    if (shape is not None and not any(_is_open(dim) for dim in shape)) or not _is_found(facts.view, facts.operand(0)):
        return ()
    if shape is None:
        return None
    axes: Iterable[int] | None = facts.attribute("axes")
    if facts.operand(1) is not None:
        axes = facts.numbers_through_casts(facts.node.input[1])
        if axes is None:
            return None
    found = [int(axis) % len(shape) for axis in axes or ()] or range(len(shape))
    extended = _extended_axis(facts.view, facts.node.input[0], len(shape))
    return found if any(_is_open(shape[axis]) and axis != extended for axis in found) else ()


def _extended_axis(view: GraphView, name: str, rank: int) -> int | None:
    """The axis along which a value holds constants besides, and which is therefore not empty."""
    node = view.producer(name)
    if node is None or node.op_type != "Concat":
        return None
    held = any(0 not in (view.shape(each) or ()) for each in node.input if view.tensor(each) is not None)
    return next((each.i % rank for each in node.attribute if each.name == "axis"), None) if held else None


def _names_no_axes(facts: NodeFacts, axes: Sequence[int]) -> bool:
    return bool(axes) and facts.operand(1) is None and not facts.attribute("axes")


def _is_open(dim: Dim) -> bool:
    return not isinstance(dim, int)


def _is_found(view: GraphView, name: str | None) -> bool:
    """Whether one of the nearest operators behind a value finds an unknown number of things, and sizes depend on it."""
    pending, seen = [] if name is None else [name], set[str]()
    while pending and len(seen) < _NEAREST:
        current = pending.pop()
        node = view.producer(current)
        if node is None or current in seen:
            continue
        seen.add(current)
        if node.op_type in FINDERS:
            return True
        shape = view.shape(current)
        if node.op_type not in SIZES and (shape is None or any(_is_open(dim) for dim in shape)):
            pending += filter(None, node.input)
    return False


_NEAREST = 100
"""Values that are looked at, from the reduction backwards."""
