"""Relations of grids that are a constant and an offset: places in a large picture, of which float16 holds few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.protos import attribute
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.relations.half_norms import producer
from mnncompat.support.relations.registry import relation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView

_PLANE, _PAIR = 4, 2
_LONGEST = 12
_GRID = (
    "(float[1,1,3,3] x, float[1,2,2,2] f) => (float[1,1,2,2] y) "
    "<float[1,2,2,2] b = {{0, 0, 0, 1, 1, 0, 1, 1}}> {{ {} }}"
)


class Step(NamedTuple):
    """What is done with a grid: a product with a constant, or a transposition.

    Attributes:
        factor: The constant; None for a transposition.
        perm: The permutation.
    """

    factor: NDArray[np.float64] | None = None
    perm: tuple[int, ...] = ()


class OffsetGrid(NamedTuple):
    """A grid that is a constant and a value that went through some steps.

    Attributes:
        base: The constant, of the shape of the grid, with a batch of 1 or that of the grid.
        offset: Name of the value.
        steps: What is done with it, in order.
    """

    base: NDArray[np.float64]
    offset: str
    steps: tuple[Step, ...]


@relation(
    holds=_GRID.format("g = Add(b, f) y = GridSample(x, g)"),
    fails=_GRID.format("g = Mul(b, f) y = GridSample(x, g)"),
    behind=("Add", "Sub", "Mul", "Div", "Transpose"),
)
def grid_is_constant_and_offset(facts: NodeFacts) -> bool:
    """The grid of a bilinear GridSample is a constant grid and a computed offset, scaled or transposed after."""
    if facts.attribute("mode") not in (None, "bilinear", "linear") or facts.attribute("padding_mode") == "reflection":
        return False
    return offset_grid(facts.view, facts.node.input[1]) is not None


def offset_grid(view: GraphView, name: str) -> OffsetGrid | None:
    """The constant and the offset that a grid is the sum of; None if it is no such sum."""
    after: list[NodeProto] = []
    for _ in range(_LONGEST):
        node = producer(view, name)
        if node is None or is_constant(view, name):
            return None
        if node.op_type == "Transpose":
            after.append(node)
            name = node.input[0]
            continue
        found = _beside_constant(view, node)
        if found is None:
            return None
        value, constant = found
        if node.op_type == "Add" and constant.ndim == _PLANE and constant.size > _PLANE:
            return _followed(view, after, constant.astype(np.float64), value)
        after.append(node)
        name = value
    return None


def _beside_constant(view: GraphView, node: NodeProto) -> tuple[str, NDArray[np.float64]] | None:
    """The computed and the constant operand of a sum, difference, product or quotient."""
    if node.op_type not in ("Add", "Sub", "Mul", "Div") or len(node.input) != _PAIR:
        return None
    for value, other in (node.input, node.input[::-1]) if node.op_type in ("Add", "Mul") else (node.input,):
        constant = constant_value(view, other) if is_constant(view, other) else None
        if constant is not None and not is_constant(view, value):
            return str(value), constant.astype(np.float64)
    return None


def _followed(view: GraphView, after: list[NodeProto], base: NDArray[np.float64], offset: str) -> OffsetGrid | None:
    """The grid after the steps behind the sum."""
    steps: list[Step] = []
    for node in reversed(after):
        if node.op_type == "Transpose":
            perm = tuple(attribute(node, "perm") or range(base.ndim)[::-1])
            base = base.transpose(perm)
            steps.append(Step(perm=perm))
            continue
        found = _beside_constant(view, node)
        if found is None or found[1].ndim > base.ndim:
            return None
        constant = found[1]
        if node.op_type in ("Mul", "Div"):
            factor = constant if node.op_type == "Mul" else 1 / constant
            base = base * factor
            steps.append(Step(factor=factor))
        else:
            base = base + (constant if node.op_type == "Add" else -constant)
    return OffsetGrid(base, offset, tuple(steps)) if base.ndim == _PLANE and base.shape[-1] == _PAIR else None
