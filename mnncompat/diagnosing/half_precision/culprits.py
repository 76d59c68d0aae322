"""At which node half precision is lost, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.diagnosing.correspondence import reads
from mnncompat.diagnosing.half_precision.arithmetic import arithmetics
from mnncompat.diagnosing.half_precision.winograd import amplification
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from onnx import NodeProto

    from mnncompat.diagnosing.half_precision.prediction import Loss, Prediction
    from mnncompat.graph.view import GraphView

_MOST = 3
_SHARE = 0.25
"""Nodes that lose this share of what the worst one loses are named as well."""
NEAR = 0.5
"""Share of the largest float16 from which on a value is told, though it does not overflow."""
_ALONE = 0.2
"""Share of an output's error below which no node alone is to blame."""
_EXACT = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A node at which precision is lost.

    Attributes:
        index: Of the node.
        outputs: The outputs of the model that this reaches.
        why: What happens there, with the values.
        lost: Whether infinities or NaN come about there.
    """

    index: int
    outputs: tuple[str, ...]
    why: str
    lost: bool


def bad_outputs(prediction: Prediction) -> list[str]:
    """The outputs for which an alarm is raised, the worst ones first."""
    bad = {name: each for name, each in prediction.outputs.items() if each.is_bad}
    return sorted(bad, key=lambda name: (not bad[name].lost, bad[name].snr_db))


def culprits(view: GraphView, prediction: Prediction) -> list[Culprit]:
    """The nodes to blame, worst first; at least one for a prediction with bad outputs."""
    found: dict[int, Culprit] = {}
    for output in bad_outputs(prediction):
        for each in _of_output(view, prediction, output):
            before = found.get(each.index)
            outputs = (*(before.outputs if before else ()), output)
            found[each.index] = Culprit(index=each.index, outputs=outputs, why=each.why, lost=each.lost)
    return list(found.values())[:_MOST]


def nearly_lost(view: GraphView, prediction: Prediction) -> list[Culprit]:
    """The nodes at which inputs of twice the size would overflow, where no output is bad; the nearest one first."""
    found = []
    for name, loss in prediction.values.items():
        block = winograd_block(view, prediction, name)
        index = view.producers[name]
        if NEAR * LARGEST < loss.largest <= LARGEST and not loss.lost:
            why = f"results of up to {loss.largest:,.0f}: float16 ends at 65,504"
            found.append((loss.largest / LARGEST, Culprit(index=index, outputs=(), why=why, lost=False)))
        operand = None if block is None else entering(view, prediction, view.nodes[index])
        if block is not None and operand is not None and operand * amplification(*block) > LARGEST:
            found.append((operand * amplification(*block) / LARGEST, _risky(index, operand, block)))
    return [each for _, each in sorted(found, key=lambda each: -each[0])][:1]


def _risky(index: int, operand: float, block: tuple[int, int]) -> Culprit:
    limit = LARGEST / amplification(*block)
    where = f"a Winograd {block[1]}x{block[1]} convolution"
    why = f"input {operand:,.0f} into {where}: above about {limit:,.0f} it may overflow"
    return Culprit(index=index, outputs=(), why=why, lost=False)


def _of_output(view: GraphView, prediction: Prediction, output: str) -> Iterator[Culprit]:
    losses = {**prediction.values, **{name: each for name, each in prediction.outputs.items() if name == output}}
    behind = _behind(view, output)
    before = _Before(view, losses)
    own: dict[str, float] = {}
    for name, each in losses.items():
        if name not in behind:
            continue
        index = view.producers[name]
        entering = before.of(index)
        if each.lost and not entering.lost:
            yield Culprit(index=index, outputs=(), why=_overflow(view, prediction, name, each), lost=True)
            return
        own[name] = _noise(each.snr_db) - _noise(entering.snr_db)
    worst = max(own, key=lambda name: own[name], default=output)
    whole = _noise(losses[output].snr_db)
    if own.get(worst, 0.0) < _ALONE * whole:
        index = view.producers.get(output, 0)
        why = f"roundings to float16 add up over the {len(behind)} values before it"
        yield Culprit(index=index, outputs=(), why=why, lost=False)
        return
    chosen = sorted((name for name in own if own[name] >= _SHARE * own[worst]), key=lambda name: -own[name])
    for name in chosen[:_MOST]:
        index = view.producers[name]
        change = f"{_db(before.of(index).snr_db)} before it, {_db(losses[name].snr_db)} after"
        why = f"{_words(view, prediction, name)} ({change})"
        yield Culprit(index=index, outputs=(), why=why, lost=False)


@dataclass(slots=True)
class _Entering:
    snr_db: float = _EXACT
    lost: bool = False


class _Before:
    """The worst of what enters a node; values that are not stored are looked through."""

    def __init__(self, view: GraphView, losses: Mapping[str, Loss]) -> None:
        self._view = view
        self._losses = losses
        self._found: dict[int, _Entering] = {}

    def of(self, index: int) -> _Entering:
        """What enters the node at this place."""
        if index not in self._found:
            found = _Entering()
            for name in reads(self._view.nodes[index]):
                at = self._view.producers.get(name)
                each = self._losses.get(name)
                if each is not None:
                    found = _Entering(min(found.snr_db, each.snr_db), found.lost or each.lost)
                elif at is not None and at != index:
                    inner = self.of(at)
                    found = _Entering(min(found.snr_db, inner.snr_db), found.lost or inner.lost)
            self._found[index] = found
        return self._found[index]


def _behind(view: GraphView, output: str) -> set[str]:
    """The values that an output is computed from, and itself."""
    pending, seen = [output], set()
    while pending:
        name = pending.pop()
        if name in seen or name not in view.producers:
            continue
        seen.add(name)
        pending += reads(view.nodes[view.producers[name]])
    return seen


def _noise(snr_db: float) -> float:
    return 0.0 if snr_db == _EXACT else 10 ** (-max(snr_db, -100.0) / 10)


def _db(value: float) -> str:
    return "exact" if value == _EXACT else f"{value:.1f} dB"


def _largest_operand(node: NodeProto, prediction: Prediction) -> float | None:
    known = [prediction.values[name].largest for name in node.input if name in prediction.values]
    return max(known, default=None)


def _overflow(view: GraphView, prediction: Prediction, name: str, loss: Loss) -> str:
    """Why a value has infinities or NaN."""
    node = view.nodes[view.producers[name]]
    block, operand = winograd_block(view, prediction, name), entering(view, prediction, node)
    if block is not None and loss.largest < LARGEST:
        limit = LARGEST / amplification(*block)
        size = "" if operand is None else f"input {operand:,.0f} "
        return f"{size}into a Winograd {block[1]}x{block[1]} convolution: above about {limit:,.0f} it may overflow"
    if loss.largest > LARGEST:
        return f"results of up to {loss.largest:,.0f} are beyond float16, which ends at 65,504"
    if node.op_type in ("Div", "Reciprocal", "Pow", "Log"):
        return "a divisor or base that is not 0 is 0 in float16, whose least number is 6e-8"
    size = "" if operand is None else f" of operands of up to {operand:,.4g}"
    return f"what {node.op_type} computes inside{size} is beyond float16, which ends at 65,504"


def entering(view: GraphView, prediction: Prediction, node: NodeProto) -> float | None:
    """The largest element that a group of nodes reads; the input of a convolution behind fused nodes."""
    found = _largest_operand(node, prediction)
    while found is None and node.input and node.input[0] in view.producers:
        node = view.nodes[view.producers[node.input[0]]]
        found = _largest_operand(node, prediction)
    if found is None and node.input and node.input[0] in prediction.inputs:
        return prediction.inputs[node.input[0]]
    return found


def winograd_block(view: GraphView, prediction: Prediction, name: str) -> tuple[int, int] | None:
    """How Winograd cuts the convolution that a value comes from, through nodes that are fused with it."""
    while name in view.producers:
        block = prediction.blocks.get(name)
        if block is not None:
            return (block.unit, block.kernel)
        inputs = view.nodes[view.producers[name]].input
        if not inputs or inputs[0] in prediction.values:
            return None
        name = inputs[0]
    return None


def _words(view: GraphView, prediction: Prediction, name: str) -> str:
    """What a node does that costs precision."""
    node, table = view.nodes[view.producers[name]], arithmetics()
    block, kind = winograd_block(view, prediction, name), table.of(node.op_type)
    loss = prediction.values.get(name) or prediction.outputs[name]
    if block is not None:
        return f"a Winograd {block[1]}x{block[1]} convolution rounds its transforms and its sums to float16"
    if kind == "capped" and loss.largest > table.caps[node.op_type]:
        return f"results of up to {loss.largest:,.4g} come out as {table.caps[node.op_type]:g} at most"
    if kind == "float32" and loss.largest > LARGEST:
        return f"results of up to {loss.largest:,.0f} come out as 65,504 at most"
    sums = {"product": "adds up products in float16", "average": "adds up its elements in float16"}
    sums |= {"running": "rounds each of its sums to float16"}
    if kind in sums:
        return f"{node.op_type} {sums[kind]}"
    if kind == "composite":
        return f"{node.op_type} computes {', then '.join(table.steps[node.op_type])}, each in float16"
    return f"{node.op_type} rounds its operands and results to float16"
