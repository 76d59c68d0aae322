"""What is known about LSTM and GRU that MNN's converter writes as loops, or as its own ops if it is told so.

Measured on 3.6.1, after `fix`, on 341 node tests, generated models and look-alikes of rows, and 216 models of 1 to 3
layers as torch writes them: the own ops are right, in both APIs, wherever `is_right_as_op` holds. The loops are right
as well, but run in the Module API only. How long both take is in `rules/recurrent.json`: ops of LSTM 0.1 to 1.6 of the
time of loops; those of GRU 0.5 to 1 for few units and sequences, up to 22 times as long for 512 units and batch 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.operand_conditions import is_used
from mnncompat.support.recurrent_times import RecurrentTimes, nearest

SLOWEST = 2.0
"""How many times as long as loops ops may take to be chosen: they run in a Session as well."""
OPERATORS = ("GRU", "LSTM")
_WEIGHTS = 4
"""Operands of LSTM and GRU up to the bias; the first is the sequence."""
_LENGTHS, _INITIAL_H, _INITIAL_C = 4, 5, 6
_OPEN_STEPS = 16
"""Steps to compare by where their number is open; an open batch counts as 1."""
_ACTIVATIONS = {
    "GRU": (["Sigmoid", "Tanh"], ["Sigmoid", "Tanh"] * 2),
    "LSTM": (["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2),
}


class Comparison(NamedTuple):
    """How long layers take in both forms.

    Attributes:
        ratio: Time of ops to that of loops.
        most: What was measured of the layer that decides.
    """

    ratio: float
    most: RecurrentTimes

    @property
    def words(self) -> str:
        """`4.5 times as long as loops, measured: GRU of 512 units, batch 1, 64 steps`."""
        return f"{self.ratio:.2g} times as long as loops, measured: {self.most.words}"


def recurrent_layers(graphs: Iterable[GraphView]) -> Iterator[NodeFacts]:
    """The nodes that the converter writes as loops if it is not told otherwise."""
    for view in graphs:
        for index, node in view.nodes_of(*OPERATORS):
            if is_onnx(node):
                facts = NodeFacts(view, index, {})
                if is_loop(facts):
                    yield facts


def is_loop(facts: NodeFacts) -> bool:
    """Whether MNN's converter writes an LSTM or a GRU as a loop, if it is not told otherwise."""
    weights = [facts.operand(position) for position in range(1, _WEIGHTS)]
    if not all(name is None or facts.is_constant(name) for name in weights):
        return False
    shape = facts.shape(facts.node.input[0])
    if shape is None or shape[:1] != (1,):
        return True
    if facts.node.op_type == "GRU":
        return False
    return _is_bidirectional(facts) or facts.operand(_INITIAL_C) is None


def is_right_as_op(facts: NodeFacts) -> bool:
    """Whether MNN's own op computes a layer right."""
    op = facts.node.op_type
    if facts.given("activations") and facts.attribute("activations") not in _ACTIVATIONS[op]:
        return False
    if op == "LSTM":
        return (facts.operand(_INITIAL_H) is None) == (facts.operand(_INITIAL_C) is None)
    last = facts.result(1)
    used = last is not None and is_used(facts, last)
    return facts.operand(_LENGTHS) is None and not (_is_bidirectional(facts) and used)


def compared(layers: Sequence[NodeFacts]) -> Comparison:
    """How long layers take in both forms, by what was measured of the layers that are most alike."""
    found = [nearest(facts.node.op_type, **_sizes(facts)) for facts in layers]
    ratio = sum(each.ops for each in found) / sum(each.loops for each in found)
    return Comparison(ratio, max(found, key=lambda each: abs(each.ops - each.loops)))


def _is_bidirectional(facts: NodeFacts) -> bool:
    return bool(facts.given("direction")) and facts.attribute("direction") == "bidirectional"


def _sizes(facts: NodeFacts) -> dict[str, int]:
    shape = (*(facts.shape(facts.node.input[0]) or ()), None, None)
    steps, batch = (shape[1], shape[0]) if facts.attribute("layout") else (shape[0], shape[1])
    recurrence = facts.shape(facts.node.input[2]) or ()
    units = recurrence[-1] if recurrence and isinstance(recurrence[-1], int) else 1
    return {
        "units": units,
        "batch": batch if isinstance(batch, int) else 1,
        "steps": steps if isinstance(steps, int) else _OPEN_STEPS,
    }
