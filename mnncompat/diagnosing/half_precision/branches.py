"""A model in whose place of an If stands the branch that a run takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from mnncompat.diagnosing.correspondence import reads
from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import rename_captured
from mnncompat.parity.runners import OnnxRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_ROUNDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a run computes of a model with branches.

    Attributes:
        model: Without the branches that are not taken.
        origins: For each of its nodes the index of the original's node that it is, or that it was a branch of.
        inside: The same nodes: whether it was in a branch.
    """

    model: Model
    origins: tuple[int, ...]
    inside: tuple[bool, ...]


def has_branches(model: Model) -> bool:
    """Whether there is an If outside of loops."""
    return any(_is_branching(node) for node in model.skeleton.graph.node)


def taken(model: Model, feeds: Mapping[str, np.ndarray]) -> Taken:
    """Put the branches in their places that a run on these feeds takes; those that cannot be told stay as they are.

    Args:
        model: With its weights at hand.
        feeds: Input name -> array.
    """
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.value_info[:]
    nodes = [(node, at, False) for at, node in enumerate(model.proto.graph.node)]
    for _ in range(_MOST_ROUNDS):
        found = _conditions(proto, [node for node, *_ in nodes], feeds)
        if not found:
            break
        names = _names(proto.graph, [node for node, *_ in nodes])
        opened: list[tuple[NodeProto, int, bool]] = []
        for node, at, inside in nodes:
            value = found.get(node.input[0]) if _is_branching(node) else None
            if value is None:
                opened.append((node, at, inside))
                continue
            branch: GraphProto = attribute(node, "then_branch" if value else "else_branch")
            opened += [(each, at, True) for each in _opened(node, branch, proto.graph, names)]
        nodes = opened
    del proto.graph.node[:]
    proto.graph.node.extend(node for node, *_ in nodes)
    origins = tuple(at for _, at, _ in nodes)
    return Taken(model=Model(proto=proto), origins=origins, inside=tuple(each for *_, each in nodes))


def _is_branching(node: NodeProto) -> bool:
    return node.op_type == "If" and is_onnx(node)


def _conditions(proto: ModelProto, nodes: Sequence[NodeProto], feeds: Mapping[str, np.ndarray]) -> dict[str, bool]:
    """The conditions of all Ifs, from a run of what computes them."""
    wanted = list(dict.fromkeys(node.input[0] for node in nodes if _is_branching(node)))
    if not wanted:
        return {}
    needed, kept = set(wanted), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(reads(node))
    small = ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import, functions=proto.functions)
    small.graph.name = "conditions"
    small.graph.node.extend(reversed(kept))
    small.graph.initializer.extend(each for each in proto.graph.initializer if each.name in needed)
    small.graph.input.extend(each for each in proto.graph.input if each.name in needed)
    small.graph.output.extend(ValueInfoProto(name=name) for name in wanted)
    ran = OnnxRunner(small).run([{name: array for name, array in feeds.items() if name in needed}])
    return {} if isinstance(ran, Failure) else {name: bool(array.ravel()[0]) for name, array in ran[0].items()}


def _names(graph: GraphProto, nodes: Iterable[NodeProto]) -> set[str]:
    stated = {each.name for each in graph.input} | {each.name for each in graph.initializer}
    return stated.union(name for node in nodes for name in node.output)


def _opened(node: NodeProto, branch: GraphProto, main: GraphProto, names: set[str]) -> list[NodeProto]:
    """The nodes of a branch, and what gives its results their names; its constants go to the main graph."""
    renamed: dict[str, str] = {}
    for name in (*(each.name for each in branch.initializer), *(name for each in branch.node for name in each.output)):
        new, count = name, 0
        while new in names:
            count += 1
            new = f"{name}.{count}"
        if name:
            names.add(new)
            renamed[name] = new
    for tensor in branch.initializer:
        main.initializer.add().CopyFrom(tensor)
        main.initializer[-1].name = renamed[tensor.name]
    found = []
    for each in branch.node:
        copy = NodeProto()
        copy.CopyFrom(each)
        _rename(copy, renamed)
        found.append(copy)
    for value, result in zip(branch.output, node.output, strict=True):
        if result:
            found.append(helper.make_node("Identity", [renamed.get(value.name, value.name)], [result]))
    return found


def _rename(node: NodeProto, renamed: Mapping[str, str]) -> None:
    node.input[:] = [renamed.get(name, name) for name in node.input]
    node.output[:] = [renamed.get(name, name) for name in node.output]
    for _, graph in subgraphs(node):
        rename_captured(graph, renamed)
