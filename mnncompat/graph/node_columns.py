"""What the nodes of a graph state, read once: each access to a field of a message makes new objects.

Nodes that state the same but for names have one look, and looks are numbered: a large model has a few dozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from onnx import GraphProto, NodeProto

from mnncompat.graph.protos import plain_attributes
from mnncompat.graph.validation import subgraphs


class Look(NamedTuple):
    """What a node states, without the names of its values.

    Attributes:
        op: The op type.
        domain: Its domain.
        operands: How many it lists, left out ones included.
        results: Likewise.
        stated: Its attributes, see `plain_attributes`; None if one of them holds a tensor or a graph: such nodes need
            not be alike.
    """

    op: str
    domain: str
    operands: int
    results: int
    stated: tuple[bytes, ...] | None


class NodeColumns(NamedTuple):
    """The nodes of one graph, field by field and in order.

    Attributes:
        operands: Names of the operands of each node, empty where one is left out.
        results: Names of the results of each node, likewise.
        numbers: The number of the look of each node.
        looks: The look of each number.
    """

    operands: list[tuple[str, ...]]
    results: list[tuple[str, ...]]
    numbers: list[int]
    looks: list[Look]


def read_columns(nodes: Iterable[NodeProto]) -> NodeColumns:
    """Read the nodes of a graph.

    Raises:
        UnicodeDecodeError: A name is no UTF-8; nodes of models that were read have none.
    """
    every_operand: list[tuple[str, ...]] = []
    every_result: list[tuple[str, ...]] = []
    numbers: list[int] = []
    known: dict[tuple[object, ...], int] = {}
    for node in nodes:
        operands, results, attributes = tuple(node.input[:]), tuple(node.output[:]), node.attribute
        every_operand.append(operands)
        every_result.append(results)
        stated = plain_attributes(node) if attributes else ()
        look = node.op_type, node.domain, len(operands), len(results), stated
        numbers.append(known.setdefault(look, len(known)))
    return NodeColumns(every_operand, every_result, numbers, [Look._make(each) for each in known])


def kinds_of(columns: NodeColumns) -> dict[tuple[str, str], list[int]]:
    """Indices of the nodes of each operator, by domain and op type, in order."""
    found: dict[tuple[str, str], list[int]] = {}
    of_looks = [found.setdefault((look.domain, look.op), []) for look in columns.looks]
    for index, number in enumerate(columns.numbers):
        of_looks[number].append(index)
    return found


def graphs_held(columns: NodeColumns, nodes: Sequence[NodeProto]) -> dict[int, Sequence[tuple[str, GraphProto]]]:
    """The graphs that nodes hold, by the index of the node; see `subgraphs`."""
    may_hold = {number for number, look in enumerate(columns.looks) if look.stated is None}
    indices = (index for index, number in enumerate(columns.numbers) if number in may_hold) if may_hold else ()
    return {index: held for index in indices if (held := subgraphs(nodes[index]))}


def readers_of(operands: Iterable[Sequence[str]]) -> dict[str, list[int]]:
    """Indices of the nodes that read each value directly, one entry for each use."""
    found: dict[str, list[int]] = {}
    for index, names in enumerate(operands):
        for name in names:
            if name in found:
                found[name].append(index)
            else:
                found[name] = [index]
    found.pop("", None)
    return found
