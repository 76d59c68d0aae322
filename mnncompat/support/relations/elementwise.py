"""Relations of elementwise operators: which operands are broadcast, their types, and which nodes read the result."""

from __future__ import annotations

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.operator_traits import MOVES
from mnncompat.graph.protos import attribute
from mnncompat.inference.value_bounds import lower_bound
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.operands import element_count, operand_shape
from mnncompat.support.relations.registry import relation

_LONGEST = 20
_OF_ALL = ("Concat", "Max", "Min", "Mul")
_OF_FIRST = MOVES | frozenset(("Cast", "ReduceMax", "ReduceMin"))

_SATURATED = ("Sigmoid", "Tanh")

_FLOATS = frozenset(("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"))


@relation(
    holds="(float[2] a, float[2] b, float[1] c) => (float[2] y) { y = Max(a, b, c) }",
    fails="(float[2] a, float[2] b, float[2] c) => (float[2] y) { y = Max(a, b, c) }",
)
def operand_shapes_differ(facts: NodeFacts) -> bool | None:
    """The operands do not all have the same shape."""
    shapes = [facts.shape(name) for name in facts.node.input if name]
    if any(shape is None for shape in shapes):
        return None
    return len(set(shapes)) > 1


@relation(
    holds="(float[2] a, int32[2] b) => (float[2] y) { y = Pow(a, b) }",
    fails="(float[2] a, float[2] b) => (float[2] y) { y = Pow(a, b) }",
    of_types=True,
)
def operands_mix_float_and_integer(facts: NodeFacts) -> bool | None:
    """One of inputs 0 and 1 is floating-point and the other one integer; MNN promotes neither."""
    dtypes = [facts.dtype(name) for name in facts.node.input[:2]]
    if None in dtypes:
        return None
    return len({dtype in _FLOATS for dtype in dtypes}) > 1


@relation(
    holds="(bool[2,3] c, float[2,3] a, float[3] b) => (float[2,3] y) { y = Where(c, a, b) }",
    fails="(bool[2,3] c, float[2,3] a, float[2,3] b) => (float[2,3] y) { y = Where(c, a, b) }",
    of_types=True,
)
def only_last_operand_is_broadcast(facts: NodeFacts) -> bool | None:
    """Of inputs 1 and 2 only the latter is broadcast: it has fewer elements than the result, but more than one."""
    shapes = [facts.shape(name) for name in (facts.node.input[1], facts.node.input[2], facts.node.output[0])]
    first, second, result = shapes
    if first is None or second is None or result is None or None in (first + second + result):
        return None
    return element_count(first) == element_count(result) and element_count(second) not in (
        element_count(result),
        (1, ()),
    )


@relation(
    holds="(float[3,1] a, float[1,4] b) => (bool[3,4] y) { y = Less(a, b) }",
    fails="(float[3,4] a, float[4] b) => (bool[3,4] y) { y = Less(a, b) }",
)
def both_operands_are_broadcast(facts: NodeFacts) -> bool | None:
    """Inputs 0 and 1 are each stretched along an axis; a dynamic size counts as more than one."""
    one, two = (facts.shape(name) for name in facts.node.input[:2])
    if one is None or two is None:
        return None
    rank = max(len(one), len(two))
    pairs = list(zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(two)) + two, strict=True))
    return any(a == 1 != b for a, b in pairs) and any(b == 1 != a for a, b in pairs)


@relation(
    holds="(float[1,2,3] x, float[1,1,3] s) => (float[1,2,3] y) { y = PRelu(x, s) }",
    fails="(float[1,2,3] x, float[2,1] s) => (float[1,2,3] y) { y = PRelu(x, s) }",
)
def slope_varies_beyond_channels(facts: NodeFacts) -> bool | None:
    """The slope (input 1) of a PRelu has more than one element along an axis other than the channels."""
    shape, rank = operand_shape(facts, 1), facts.rank(facts.node.input[0])
    if shape is None or rank is None:
        return None
    channels = len(shape) - rank + 1
    return any(dim != 1 for axis, dim in enumerate(shape) if axis != channels)


@relation(
    holds="(float[2] x) => (float[2] y) <float lo = {3.0}, float hi = {1.0}> { y = Clip(x, lo, hi) }",
    fails="(float[2] x) => (float[2] y) <float lo = {1.0}, float hi = {3.0}> { y = Clip(x, lo, hi) }",
)
def minimum_exceeds_maximum(facts: NodeFacts) -> bool | None:
    """The bounds of a Clip (inputs 1 and 2) are constants, and the lower one is above the upper one."""
    low, high = (facts.operand(position) for position in (1, 2))
    if low is None or high is None:
        return False
    bounds = [facts.numbers_through_casts(name) for name in (low, high)]
    if bounds[0] is None or bounds[1] is None:
        return None
    return any(least > most for least, most in zip(bounds[0], bounds[1], strict=True))


@relation(
    holds="(float[2] x) => (float[2] y) { y = Softplus(x) }",
    fails="(float[2] x) => (float[2] z) { y = Softplus(x) z = Tanh(y) }",
)
def readers_distinguish_large_results(facts: NodeFacts) -> bool:
    """A reader of the result gives different results for large numbers, and is not the Max of result and operand.

    Sigmoid and Tanh give the same for all large numbers; an output of the graph is such a reader.
    """
    view, (result, operand) = facts.view, (facts.node.output[0], facts.node.input[0])
    if view.is_external_use(result):
        return True
    readers = [view.nodes[index] for index in view.consumers.get(result, ())]
    return any(
        reader.op_type not in _SATURATED and not (reader.op_type == "Max" and operand in reader.input)
        for reader in readers
    )


@relation(
    holds="(float[2] a, float[2] b) => (bool[2] y) { r = Relu(a) s = Mul(r, r) y = Less(b, s) }",
    fails="(float[2] a, float[2] b) => (bool[2] y) { r = Neg(a) y = Less(b, r) }",
)
def one_operand_is_never_negative(facts: NodeFacts) -> bool:
    """An operand holds no negative number, whatever the model is fed with: the operators that compute it tell."""
    return any(lower_bound(facts.view, name) >= 0 for name in facts.node.input)


@relation(
    holds=(
        "(float[2] a, float[2] b) => (bool[2] y) { c = Greater(a, b) d = Cast<to=7>(c) e = Mul(d, d) "
        "y = Cast<to=9>(e) }"
    ),
    fails="(int64[2] a, int64[2] b) => (bool[2] y) { d = Add(a, b) y = Cast<to=9>(d) }",
)
def operand_holds_truth_values(facts: NodeFacts) -> bool:
    """Input 0 holds nothing but 0 and 1: truth values, products of them, or positions along an axis of two."""
    return _holds_truth(facts, facts.node.input[0], _LONGEST)


def _holds_truth(facts: NodeFacts, name: str, further: int) -> bool:
    small = facts.view.stored_numbers(name)
    if small is not None:
        return {0, 1}.issuperset(small.values)
    value = facts.view.stored_value(name)
    if value is not None:
        return bool(np.isin(value, (0, 1)).all())
    if facts.dtype(name) == "BOOL":
        return True
    node = facts.view.producer(name)
    if node is None or not further:
        return False
    if node.op_type in ("ArgMax", "ArgMin"):
        shape = facts.shape(node.input[0])
        return shape is not None and shape[attribute(node, "axis", 0)] == 2  # noqa: PLR2004 - positions 0 and 1
    operands = node.input if node.op_type in _OF_ALL else node.input[:1] if node.op_type in _OF_FIRST else ()
    return bool(operands) and all(_holds_truth(facts, each, further - 1) for each in operands if each)
