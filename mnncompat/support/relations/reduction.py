"""Relations of reductions and of other operators along an axis: which axes are named, and how long they are."""

from __future__ import annotations

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
