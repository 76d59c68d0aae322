"""Relations of masks that are added to scores: sums of several of them overflow in float16."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.half_norms import number, producer
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView

_MASKED = -1e5
"""What is at most this number masks: no score is as large."""
_MOST = 8
_TWO = (
    "(float[1,2] x, float[1,2] m) => (float[1,2] y) <float b = {{-1e9}}, float[1,2] c = {{0, -1e9}}> "
    "{{ k = Mul(m, b) {} y = Softmax(a) }}"
)


class Mask(NamedTuple):
    """One summand that masks.

    Attributes:
        value: What is multiplied by a large negative number; empty for a constant.
        constant: Zeros, and large negative numbers where it masks; None for a product.
        least: The smallest magnitude of these numbers.
    """

    value: str
    constant: NDArray[Any] | None
    least: float


class MaskedScores(NamedTuple):
    """The operand of a Softmax.

    Attributes:
        scores: Names of the summands that do not mask.
        masks: The others.
    """

    scores: tuple[str, ...]
    masks: tuple[Mask, ...]


@relation(
    holds=_TWO.format("s = Add(x, c) a = Add(s, k)"),
    fails=_TWO.format("a = Add(x, k)"),
    behind=("Add",),
)
def scores_have_several_masks(facts: NodeFacts) -> bool:
    """Several masks of -1e5 or less are added to the operand of a Softmax: where two of them mask, it overflows."""
    found = masked_scores(facts.view, facts.node.input[0])
    return len(found.masks) > 1 and bool(found.scores)


def masked_scores(view: GraphView, name: str) -> MaskedScores:
    """The summands of a value, those that mask apart."""
    waiting = [name]
    scores: list[str] = []
    masks: list[Mask] = []
    while waiting:
        each = waiting.pop(0)
        node = producer(view, each)
        mask = _mask(view, each, node)
        if mask is not None:
            masks.append(mask)
        elif node is not None and node.op_type == "Add" and len(scores) + len(masks) + len(waiting) < _MOST:
            waiting[:0] = node.input
        else:
            scores.append(each)
    return MaskedScores(tuple(scores), tuple(masks))


def _mask(view: GraphView, name: str, node: NodeProto | None) -> Mask | None:
    if is_constant(view, name):
        constant = constant_value(view, name)
        is_mask = constant is not None and constant.dtype.kind == "f" and constant.size > 1
        if not is_mask or constant is None or not _masks(constant):
            return None
        return Mask("", constant, -float(constant[constant < 0].max()))
    if node is None or node.op_type != "Mul":
        return None
    for value, other in (node.input, node.input[::-1]):
        factor = number(view, other)
        if factor is not None and factor <= _MASKED:
            return Mask(str(value), None, -factor)
    return None


def _masks(constant: NDArray[Any]) -> bool:
    """Whether all elements are 0 or mask, and some do."""
    below = constant <= _MASKED
    return bool(below.any() and (below | (constant == 0)).all())
