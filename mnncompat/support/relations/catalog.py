"""Named relations that no single operand or attribute can state, for the conditions of the table.

Each is a function from a node to True, False, or None where the model does not say. A row names one with
``relation = "NAME"``; the docstring says what is compared and why MNN cares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.conv3d_fusion import MERGE_RELATIONS
from mnncompat.support.relations.convolution import WINDOW_RELATIONS
from mnncompat.support.relations.grid_sample import POSITION_RELATIONS
from mnncompat.support.relations.indices import INDEX_RELATIONS
from mnncompat.support.relations.matmul import PRODUCT_RELATIONS
from mnncompat.support.relations.moved_activations import ACTIVATION_RELATIONS
from mnncompat.support.relations.norm_gelu_fusion import NORM_RELATIONS
from mnncompat.support.relations.pad_slice import MOVEMENT_RELATIONS
from mnncompat.support.relations.pooling import VALUE_RELATIONS
from mnncompat.support.relations.resize import OPERAND_RELATIONS

RELATIONS: dict[str, Callable[[NodeFacts], bool | None]] = {}


def _relation(function: Callable[[NodeFacts], bool | None]) -> Callable[[NodeFacts], bool | None]:
    RELATIONS[function.__name__.strip("_").replace("_", "-")] = function
    return function


def _shape_of(facts: NodeFacts, position: int, *, output: bool = False) -> tuple[Dim, ...] | None:
    name = facts.result(position) if output else facts.operand(position)
    return None if name is None else facts.shape(name)


def _any(truths: Sequence[bool | None]) -> bool | None:
    return True if True in truths else None if None in truths else False


@_relation
def _operand_shapes_differ(facts: NodeFacts) -> bool | None:
    """The operands do not all have the same shape: they are broadcast."""
    shapes = [facts.shape(name) for name in facts.node.input if name]
    if any(shape is None for shape in shapes):
        return None
    return len(set(shapes)) > 1


@_relation
def _axes_are_all(facts: NodeFacts) -> bool | None:
    """The constant axes operand (input 1) lists every axis of input 0, or all but kept ones of size 1."""
    shape = _shape_of(facts, 0)
    axes = facts.constant(facts.node.input[1])
    if axes is None or shape is None:
        return None
    others = set(range(len(shape))) - {int(axis) % max(len(shape), 1) for axis in axes.flat}
    return not others or (facts.attribute("keepdims") == 1 and all(shape[axis] == 1 for axis in others))


@_relation
def _axis_before_others(facts: NodeFacts) -> bool | None:
    """Axes after the one of attribute ``axis`` hold more than one element: flattening to 2-D would change the sums."""
    shape = _shape_of(facts, 0)
    if shape is None:
        return None
    after = shape[facts.attribute("axis") % max(len(shape), 1) + 1 :]
    return _any([None if not isinstance(dim, int) else dim > 1 for dim in after])


@_relation
def _axis_stated_before_reduction(facts: NodeFacts) -> bool:
    """Attribute ``axis`` stands before ``reduction`` in the file: MNN stops reading attributes at the first of both."""
    names = [attribute.name for attribute in facts.node.attribute]
    return "axis" in names and "reduction" in names and names.index("axis") < names.index("reduction")


@_relation
def _split_is_uneven(facts: NodeFacts) -> bool | None:
    """``num_outputs`` does not divide the size of the split axis."""
    shape = _shape_of(facts, 0)
    if shape is None or not shape:
        return None
    size = shape[facts.attribute("axis") % len(shape)]
    return size % facts.attribute("num_outputs") != 0 if isinstance(size, int) else None


@_relation
def _slope_is_not_per_channel(facts: NodeFacts) -> bool | None:
    """The slope (input 1) of a PRelu has a long axis other than the channels."""
    shape, rank = _shape_of(facts, 1), facts.rank(facts.node.input[0])
    if shape is None or rank is None:
        return None
    channels = len(shape) - rank + 1
    return any(dim != 1 for axis, dim in enumerate(shape) if axis != channels)


@_relation
def _minimum_above_maximum(facts: NodeFacts) -> bool | None:
    """Both bounds (inputs 1 and 2) are constants, and the lower one is above the upper one."""
    low, high = (facts.operand(position) for position in (1, 2))
    if low is None or high is None:
        return False
    bounds = [facts.constant(name) for name in (low, high)]
    if bounds[0] is None or bounds[1] is None:
        return None
    return bool((bounds[0] > bounds[1]).any())


@_relation
def _lengths_are_full(facts: NodeFacts) -> bool | None:
    """Every constant sequence length (input 4) equals the length of the sequences (axis 0 of input 0).

    Lengths that differ from each other cannot all do so, whatever the length of the sequences is.
    """
    shape = _shape_of(facts, 0)
    lengths = facts.constant(facts.node.input[4])
    if lengths is None:
        return None
    if lengths.size and (lengths != lengths.flat[0]).any():
        return False
    if shape is None or not isinstance(shape[0], int):
        return None
    return bool((lengths == shape[0]).all())


@_relation
def _result_reaches_output(facts: NodeFacts) -> bool:
    """The result is a graph output, directly or after Relu, LeakyRelu and Clip only."""
    pending = [name for name in facts.node.output if name]
    while pending:
        name = pending.pop()
        if name in facts.view.outputs:
            return True
        for index in facts.view.consumers.get(name, ()):
            node = facts.view.nodes[index]
            if node.op_type in ("Relu", "LeakyRelu", "Clip") and node.input[0] == name:
                pending.append(node.output[0])
    return False


@_relation
def _enlarges(facts: NodeFacts) -> bool | None:
    """A spatial dimension (axis 2 and up) of the result is larger than that of input 0."""
    return _compare_sizes(facts, range(2, 32), lambda before, after: after > before)


@_relation
def _shrinks(facts: NodeFacts) -> bool | None:
    """A spatial dimension (axis 2 and up) of the result is smaller than that of input 0."""
    return _compare_sizes(facts, range(2, 32), lambda before, after: after < before)


@_relation
def _resizes_batch(facts: NodeFacts) -> bool | None:
    """Axis 0 of the result has another size than that of input 0."""
    return _compare_sizes(facts, range(1), lambda before, after: after != before)


@_relation
def _resizes_channels(facts: NodeFacts) -> bool | None:
    """Axis 1 of the result has another size than that of input 0."""
    return _compare_sizes(facts, range(1, 2), lambda before, after: after != before)


@_relation
def _scales_by_fractions(facts: NodeFacts) -> bool | None:
    """A spatial size of the result is neither a multiple of that of input 0 nor smaller than it."""
    return _compare_sizes(facts, range(2, 32), lambda before, after: after > before and after % before != 0)


def _compare_sizes(facts: NodeFacts, axes: range, test: Callable[[int, int], bool]) -> bool | None:
    before, after = _shape_of(facts, 0), _shape_of(facts, 0, output=True)
    if before is None or after is None or len(before) != len(after):
        return None
    scales = _constant_scales(facts, len(before))
    found: list[bool | None] = []
    for axis in axes[: max(0, len(before) - axes.start)]:
        same = _compared(before[axis], after[axis], test)
        if same is None and scales is not None:  # of a dynamic size, as large as tells scales apart
            same = test(_LARGE, int(_LARGE * scales[axis]))
        found.append(same)
    return _any(found)


_LARGE = 1_000_000


def _constant_scales(facts: NodeFacts, rank: int) -> list[float] | None:
    """What every axis of a Resize or Upsample is multiplied by; None if that is not constant."""
    if facts.node.op_type not in ("Resize", "Upsample") or facts.attribute("axes"):
        return None
    position = 2 if facts.node.op_type == "Resize" and facts.opset > 10 else 1  # noqa: PLR2004 - since when there is a roi
    name = facts.operand(position)
    stored = facts.constant(name) if name is not None else None
    scales = [float(each) for each in (facts.attribute("scales") or () if stored is None else stored.reshape(-1))]
    return scales if len(scales) == rank else None


def _compared(old: Dim, new: Dim, test: Callable[[int, int], bool]) -> bool | None:
    if isinstance(old, int) and isinstance(new, int):
        return test(old, new)
    return False if isinstance(old, str) and old == new else None


@_relation
def _einsum_repeats_index(facts: NodeFacts) -> bool:
    """A term of the equation names one index twice: a diagonal or a trace."""
    return any(len(set(term)) < len(term) for term in _einsum_terms(facts))


@_relation
def _einsum_is_inner_product(facts: NodeFacts) -> bool:
    """Two operands with the same indices are summed to a scalar."""
    equation = str(facts.attribute("equation")).replace(" ", "")
    terms = _einsum_terms(facts)
    return equation.endswith("->") and len(terms) > 1 and all(sorted(term) == sorted(terms[0]) for term in terms)


def _einsum_terms(facts: NodeFacts) -> list[str]:
    operands = str(facts.attribute("equation")).replace(" ", "").partition("->")[0]
    return [term.replace(".", "") for term in operands.split(",")]


RELATIONS.update(
    ACTIVATION_RELATIONS
    | INDEX_RELATIONS
    | MOVEMENT_RELATIONS
    | WINDOW_RELATIONS
    | VALUE_RELATIONS
    | OPERAND_RELATIONS
    | PRODUCT_RELATIONS
    | POSITION_RELATIONS
    | NORM_RELATIONS
    | MERGE_RELATIONS
)
