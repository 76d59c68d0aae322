"""Which tensors of a converted file are which values of the ONNX model, and what lies between them.

The converter keeps the names of values. What it folds or fused away has no tensor: the nodes between two values that
have one are a group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mnncompat.graph.validation import subgraphs

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import MnnGraph, MnnOp

_GIVEN = frozenset({"Const", "Input", "TrainableParam"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Nodes without a tensor of the file between them.

    Attributes:
        nodes: Indices of the ONNX nodes, ascending.
        values: The values that leave it and have a tensor.
        before: The tensors that the file computes them from: other groups' values, and inputs of the model.
        ops: The ops of the file that it consists of there.
    """

    nodes: tuple[int, ...]
    values: tuple[str, ...]
    before: tuple[str, ...]
    ops: tuple[MnnOp, ...]


class Correspondence:
    """Tensors of a file's main graph and values of an ONNX graph.

    Args:
        graph: The file's.
        view: The ONNX model's main graph.
        hidden: Values that are not taken as the same, though they have the same name.
    """

    def __init__(self, graph: MnnGraph, view: GraphView, hidden: Collection[str] = ()) -> None:
        self._view = view
        self._ops = [op for op in graph.ops if not op.body]
        self._constant = constant_values(view)
        counts = Counter(name for op in self._ops for name in op.values)
        self._producer = {number: op for op in self._ops for number in op.outputs}
        self.inputs = {op.outputs[0]: op.values[0] for op in self._ops if op.type == "Input" and op.values}
        named = {
            name: number
            for op in self._ops
            if op.type not in _GIVEN
            for number, name in zip(op.outputs, op.values, strict=False)
            if counts[name] == 1 and name in view.producers and name not in hidden and name not in self._constant
        }
        order = sorted(named, key=lambda name: (view.producers[name], name))
        self.numbers: dict[str, int] = {name: named[name] for name in order}
        """Tensors by the name of the value, in the order in which the ONNX model computes them."""
        self._visible = {number: name for name, number in self.numbers.items()} | self.inputs

    @cached_property
    def before(self) -> dict[str, tuple[str, ...]]:
        """Value -> the tensors that the file computes it from."""
        return {name: self._behind(name)[0] for name in self.numbers}

    def readers(self, name: str) -> list[str]:
        """What the model computes directly from a value."""
        return [result for node in self._view.nodes if name in node.input for result in node.output if result]

    def inverted(self) -> set[str]:
        """Values that the file computes from later ones: their names are those of other contents, as after a fusion."""
        made = self._view.producers
        return {
            name
            for name, before in self.before.items()
            if name not in self._view.outputs and any(made.get(each, -1) > made[name] for each in before)
        }

    def in_file_order(self) -> list[str]:
        """The values in the order in which the file computes them."""
        place = {id(op): number for number, op in enumerate(self._ops)}
        return sorted(self.numbers, key=lambda name: place[id(self._producer[self.numbers[name]])])

    def ops_of(self, name: str) -> tuple[MnnOp, ...]:
        """The ops of the file between a value and those before it."""
        return self._behind(name)[1]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order of computation; values that the same nodes compute are in one."""
        found: dict[tuple[int, ...], list[str]] = {}
        for name in self.numbers:
            found.setdefault(self._nodes_of(name), []).append(name)
        groups = [self._group(nodes, values) for nodes, values in found.items()]
        return tuple(sorted(groups, key=lambda each: max(each.nodes, default=-1)))

    def _group(self, nodes: tuple[int, ...], values: list[str]) -> Group:
        before = dict.fromkeys(each for name in values for each in self.before[name] if each not in values)
        ops = {id(op): op for name in values for op in self.ops_of(name)}
        return Group(nodes=nodes, values=tuple(values), before=tuple(before), ops=tuple(ops.values()))

    def _nodes_of(self, name: str) -> tuple[int, ...]:
        """Nodes between a value and the values before it that have tensors; what is constant is left out."""
        found: set[int] = set()
        ahead = [name]
        while ahead:
            index = self._view.producers.get(ahead.pop())
            if index is None or index in found:
                continue
            found.add(index)
            node = self._view.nodes[index]
            ahead += [each for each in reads(node) if each not in self.numbers and each not in self._constant]
        return tuple(sorted(found))

    def _behind(self, name: str) -> tuple[tuple[str, ...], tuple[MnnOp, ...]]:
        """Visible tensors that a tensor is computed from, and the ops between; constants are no ops."""
        start = self._producer[self.numbers[name]]
        seen = {id(start): start}
        ahead, before = [start], dict[str, None]()
        while ahead:
            for number in ahead.pop().inputs:
                op = self._producer.get(number)
                if number in self._visible:
                    before[self._visible[number]] = None
                elif op is not None and op.type not in _GIVEN and id(op) not in seen:
                    seen[id(op)] = op
                    ahead.append(op)
        return tuple(before), tuple(seen.values())


def corresponding(graph: MnnGraph, view: GraphView, hidden: Collection[str]) -> Correspondence:
    """The tensors of a file, without those that are computed from later values.

    Args:
        graph: The file's.
        view: The ONNX model's main graph.
        hidden: Further values that are left out.
    """
    found = Correspondence(graph, view, hidden)
    while found.inverted():
        hidden = {*hidden, *found.inverted()}
        found = Correspondence(graph, view, hidden)
    return found


def reads(node: object) -> list[str]:
    """Values that a node reads, also inside of its bodies."""
    found = [name for name in node.input if name]  # type: ignore[attr-defined]
    for _, graph in subgraphs(node):  # type: ignore[arg-type]
        own = {value.name for value in graph.input} | {each.name for each in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        used = [name for inner in graph.node for name in reads(inner)] + [value.name for value in graph.output]
        found += [name for name in used if name and name not in own]
    return found


def constant_values(view: GraphView) -> frozenset[str]:
    """Values that the converter knows: stored ones, and what is computed from nothing else; found once for a graph."""
    found: frozenset[str] | None = view.kept.get("known to the converter")
    if found is None:
        found = view.kept["known to the converter"] = _constant_values(view)
    return found


def _constant_values(view: GraphView) -> frozenset[str]:
    inputs = set(view.input_names) - set(view.initializers)
    known = set(view.initializers) - inputs
    for node in view.nodes:
        if node.op_type.startswith(("Random", "Bernoulli", "Multinomial")):
            continue
        if all(name in known for name in reads(node)):
            known.update(filter(None, node.output))
    return frozenset(known)


def reached(before: Mapping[str, tuple[str, ...]], values: Iterable[str]) -> set[str]:
    """These values, and all that is computed from them.

    Args:
        before: Value -> what it is computed from directly, in an order in which they can be computed.
        values: Where to begin.
    """
    found = set(values)
    for name, sources in before.items():
        if found.intersection(sources):
            found.add(name)
    return found


def depths(before: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """A number for each value, such that none has that of a value it is computed from directly; few numbers."""
    found: dict[str, int] = {}
    for name, sources in before.items():
        taken = {found[each] for each in sources if each in found}
        found[name] = next(number for number in range(len(taken) + 1) if number not in taken)
    return found
