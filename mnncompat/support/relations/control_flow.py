"""Relations of values that are used as conditions of If and Loop."""

from __future__ import annotations

from onnx import TensorProto

from mnncompat.graph.operator_traits import RESHAPES, ROUNDINGS, SIZES
from mnncompat.inference.constant_folding import constant_value
from mnncompat.inference.known_conditions import known_condition
from mnncompat.inference.value_bounds import lower_bound
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.registry import relation


@relation(
    holds=(
        "(float[1] x) => (float[1] z) { c = Floor(x) r = Relu(c) y = Cast<to=9>(r) z = If(y)<then_branch = t () "
        "=> (float[1] p) { p = Neg(x) }, else_branch = e () => (float[1] q) { q = Abs(x) }> }"
    ),
    fails=(
        "(float[1] x) => (float[1] z) { y = Cast<to=9>(x) z = If(y)<then_branch = t () => (float[1] p) { p = "
        "Neg(x) }, else_branch = e () => (float[1] q) { q = Abs(x) }> }"
    ),
)
def rounded_number_used_as_condition(facts: NodeFacts) -> bool:
    """A whole number that is not negative becomes a condition that only Loop and If read.

    The number is rounded, and made positive by Relu or Abs, in either order. Every number but 0 is a true condition.
    """
    ops = _chain(facts, ROUNDINGS | {"Abs", "Identity", "Relu"})
    return _is_read_as_condition_only(facts) and not ops.isdisjoint(ROUNDINGS) and not ops.isdisjoint(("Relu", "Abs"))


@relation(
    holds=(
        "(float[N,5] x) => (float[N,5] y) <int64 one = {1}, int64 five = {5}> { s = Shape(x) n = Gather(s, one) c = "
        "Equal(n, five) y = If(c)<then_branch = t () => (float[N,5] p) { p = Neg(x) }, else_branch = e () => "
        "(float[N,5] q) { q = Abs(x) }> }"
    ),
    fails=(
        "(float[N,5] x) => (float[N,5] y) <int64 zero = {0}, int64 five = {5}> { s = Shape(x) n = Gather(s, zero) c = "
        "Equal(n, five) y = If(c)<then_branch = t () => (float[N,5] p) { p = Neg(x) }, else_branch = e () => "
        "(float[N,5] q) { q = Abs(x) }> }"
    ),
)
def condition_is_known(facts: NodeFacts) -> bool:
    """The condition (input 0) is stored, or follows from constants and known sizes; other sizes may be open."""
    name = facts.operand(0)
    return name is not None and known_condition(facts.view, name) is not None


@relation(
    holds=(
        "(float[1] x) => (float[1] z) { n = Size(x) y = Cast<to=9>(n) z = If(y)<then_branch = t () => (float[1] "
        "p) { p = Neg(x) }, else_branch = e () => (float[1] q) { q = Abs(x) }> }"
    ),
    fails=(
        "(float[1] x) => (float[1] z) { y = Cast<to=9>(x) z = If(y)<then_branch = t () => (float[1] p) { p = "
        "Neg(x) }, else_branch = e () => (float[1] q) { q = Abs(x) }> }"
    ),
)
def shape_used_as_condition(facts: NodeFacts) -> bool:
    """A size of a tensor, which is never negative, becomes a condition that only Loop and If read."""
    through = RESHAPES | {"Cast", "Gather", "Identity", "Slice", *SIZES}
    return _is_read_as_condition_only(facts) and not _chain(facts, through).isdisjoint(SIZES)


def _is_read_as_condition_only(facts: NodeFacts) -> bool:
    """The result is read by Loop and If only, and at least once."""
    readers = facts.view.consumers.get(facts.node.output[0], [])
    ops = {facts.view.nodes[index].op_type for index in readers}
    return bool(ops) and ops <= {"Loop", "If"} and not facts.view.is_external_use(facts.node.output[0])


def _chain(facts: NodeFacts, through: frozenset[str]) -> set[str]:
    """Op types of the chain of nodes that computes input 0, as far as they are among the given ones."""
    found: set[str] = set()
    node = facts.view.producer(facts.node.input[0])
    while node is not None and node.op_type in through:
        found.add(node.op_type)
        node = facts.view.producer(node.input[0])
    return found


_FLOATS = frozenset((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE))
_COLLECTING = (
    "({}float x) => (float y, float[K] z) <bool t = {{1}}{}> {{ y, z = Loop<body = b (int64 i, bool c, float s) => "
    "(bool d, float r, float e) {{ d = Identity(c) r = Neg(s) e = Abs(s) }}>({}, x) }}"
)


@relation(
    holds=_COLLECTING.format("", ", int64 n = {0}", "n, t"),
    fails=_COLLECTING.format("", ", int64 n = {2}", "n, t"),
)
def loop_collects_in_no_iteration(facts: NodeFacts) -> bool | None:
    """A Loop with scan outputs has a constant count of 0, or a condition that is constant and false."""
    return _collects(facts) and (_stated(facts, 0) == 0 or _stated(facts, 1) == 0)


@relation(
    holds=_COLLECTING.format("int64 n, ", "", "n, t"),
    fails=_COLLECTING.format("float[A] a, ", "", "n, t").replace("{ y, z", "{ n = Size(a) y, z"),
)
def loop_may_collect_in_no_iteration(facts: NodeFacts) -> bool:
    """A Loop with scan outputs may run no iteration: its count may be 0, or its first condition false.

    Dimensions without a size are taken for at least 1.
    """
    if not _collects(facts) or loop_collects_in_no_iteration(facts):
        return False
    count = facts.operand(0)
    runs = count is None or lower_bound(facts.view, count) >= 1
    return not (runs and (facts.operand(1) is None or bool(_stated(facts, 1))))


@relation(
    holds=_COLLECTING.format("", ", int64 n = {2}", "n, t"),
    fails=_COLLECTING.format("", ", int64 n = {2}", "n, t")
    .replace("float e) { d = Identity(c) r = Neg(s) e = Abs(s) }", "int64 e) { d = Identity(c) r = Neg(s) e = Abs(i) }")
    .replace("float[K] z", "int64[K] z"),
)
def loop_collects_floats(facts: NodeFacts) -> bool | None:
    """A Loop has scan outputs of floats."""
    body = facts.attribute("body")
    if body is None or not _collects(facts):
        return False
    states = len(body.input) - 1
    types = {each.type.tensor_type.elem_type for each in body.output[states:]}
    if not types.isdisjoint(_FLOATS):
        return True
    return None if 0 in types else False


def _collects(facts: NodeFacts) -> bool:
    """The body has more results than the condition and the states."""
    body = facts.attribute("body")
    return body is not None and len(body.output) > len(body.input) - 1


def _stated(facts: NodeFacts, position: int) -> int | None:
    name = facts.operand(position)
    value = None if name is None else constant_value(facts.view, name)
    return None if value is None or value.size != 1 else int(value.reshape(()))
