"""Facts that several families of relations need: shapes by position, numbers of elements, and the extent of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mnncompat.graph.protos import Dim
from mnncompat.support.node_facts import NodeFacts


def operand_shape(facts: NodeFacts, position: int) -> tuple[Dim, ...] | None:
    """Shape of the input at a position; None if it is left out, or of unknown rank."""
    name = facts.operand(position)
    return None if name is None else facts.shape(name)


def result_shape(facts: NodeFacts, position: int) -> tuple[Dim, ...] | None:
    """Shape of the output at a position; None if it is left out, or of unknown rank."""
    name = facts.result(position)
    return None if name is None else facts.shape(name)


def element_count(dims: Sequence[Dim]) -> tuple[int, tuple[str, ...]]:
    """The number of elements: the product of the known sizes, and the names of the others."""
    return prod(dim for dim in dims if isinstance(dim, int)), tuple(dim for dim in dims if isinstance(dim, str))


def kernel_extents(facts: NodeFacts) -> list[Dim] | None:
    """Kernel size with dilation, by spatial axis; None if unknown."""
    kernel: list[Dim] | None = facts.attribute("kernel_shape")
    if not kernel and facts.operand(1) is not None:
        shape = facts.shape(facts.node.input[1])
        kernel = None if shape is None else list(shape[2:])
    if not kernel:
        return None
    dilations = facts.attribute("dilations") or [1] * len(kernel)
    return [
        (size - 1) * dilation + 1 if isinstance(size, int) else None
        for size, dilation in zip(kernel, dilations, strict=False)
    ]
