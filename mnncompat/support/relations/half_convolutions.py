"""Relations of convolutions: what float16 loses in their sums, transforms and constants."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.relations.half_norms import producer
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    from mnncompat.support.node_facts import NodeFacts

_PAIR, _WIDEST, _MANY = 2, 7, 48


@relation(
    holds="(float[1,4,9,9] x, float[6,4,3,3] w) => (float[1,6,7,7] y) { y = Conv(x, w) }",
    fails="(float[1,4,9,9] x, float[6,4,3,3] w) => (float[1,6,4,4] y) { y = Conv<strides=[2, 2]>(x, w) }",
)
def convolution_is_done_by_transforms(facts: NodeFacts) -> bool | None:
    """A dense convolution of a square kernel of 2 x 2 to 7 x 7 with stride 1: MNN uses Winograd's transforms."""
    shape = facts.shape(facts.node.input[1])
    if shape is None:
        return None
    ones = [*(facts.attribute("strides") or ()), *(facts.attribute("dilations") or ()), facts.attribute("group") or 1]
    kernel = shape[2:]
    is_square = len(kernel) == _PAIR and kernel[0] == kernel[1]
    return is_square and isinstance(kernel[0], int) and _PAIR <= kernel[0] <= _WIDEST and set(ones) <= {1}


@relation(
    holds="(float[1,64,9,9] x, float[6,64,1,1] w) => (float[1,6,9,9] y) { y = Conv(x, w) }",
    fails="(float[1,32,9,9] x, float[6,32,1,1] w) => (float[1,6,9,9] y) { y = Conv(x, w) }",
)
def convolution_has_many_terms(facts: NodeFacts) -> bool | None:
    """A convolution of one group with sums of 48 terms or more over more than one channel."""
    shape = facts.shape(facts.node.input[1])
    if shape is None:
        return None
    sizes = [size for size in shape[1:] if isinstance(size, int)]
    if (facts.attribute("group") or 1) > 1 or (sizes and shape[1] == 1):
        return False
    return None if len(sizes) < len(shape) - 1 else prod(sizes) >= _MANY


def convolution_and_constant(facts: NodeFacts) -> tuple[NodeProto, NDArray[Any]] | None:
    """The convolution with constant weights that a constant is applied to, and the constant: one, or one a channel."""
    view, inputs = facts.view, facts.node.input
    pairs = ((inputs[0], inputs[1]),) if facts.node.op_type in ("Div", "Sub") else (inputs, inputs[::-1])
    for value, other in pairs:
        node = None if is_constant(view, value) else producer(view, value)
        constant = constant_value(view, other) if node is not None and is_constant(view, other) else None
        if node is None or constant is None or node.op_type != "Conv" or constant.dtype.kind != "f":
            continue
        weight = facts.shape(node.input[1])
        is_alone = len(view.consumers.get(value, ())) == 1 and not view.is_external_use(value)
        if weight is None or not is_alone or not all(is_constant(view, name) for name in node.input[1:] if name):
            continue
        rank = constant.ndim
        along = constant.shape[-len(weight) + 1] if rank >= len(weight) - 1 else 1
        if constant.size in (1, along) and along in (1, weight[0]) and rank <= len(weight):
            return node, constant
    return None


@relation(
    holds="(float[1,1,5,4] x) => (float[1,1,5,4] y) <float[1,1,1,1] w = {0.3}, float s = {0.7}> "
    "{ c = Conv(x, w) y = Mul(c, s) }",
    fails="(float[1,1,5,4] x) => (float[1,1,5,4] y) <float[1,1,1,1] w = {0.3}, float[4] s = {0.7, 0.8, 0.9, 1.0}> "
    "{ c = Conv(x, w) y = Mul(c, s) }",
)
def constant_follows_convolution(facts: NodeFacts) -> bool:
    """A constant, one or one for each channel, is applied to what a convolution with constant weights gives alone."""
    return convolution_and_constant(facts) is not None
