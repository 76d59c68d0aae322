"""The table of a diagnosis: one line for each group of nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.diagnosing.correspondence import reached
from mnncompat.diagnosing.deviations import range_of
from mnncompat.results.diagnosis import Deviation, Layer, Role

if TYPE_CHECKING:
    from mnncompat.diagnosing.correspondence import Group
    from mnncompat.diagnosing.measuring import Measuring
    from mnncompat.graph.view import GraphView

_CLEARLY = 2.0
"""How much less a value is off than with right values before it, if these are not what the file computes it from."""


def layers(
    measuring: Measuring, view: GraphView, guilty: Collection[tuple[str, ...]], host: Measuring | None = None
) -> tuple[Layer, ...]:
    """Every group of the file, in the order of computation.

    Args:
        measuring: What was measured.
        view: The ONNX graph.
        guilty: Values of the groups that are to blame.
        host: The same on this machine, if `measuring` is on a device.
    """
    suffering = reached(measuring.tensors.before, (name for values in guilty for name in values))
    return tuple(
        _beside(_layer(measuring, view, number, group, guilty=guilty, suffering=suffering), host)
        for number, group in enumerate(measuring.tensors.groups, start=1)
        if any(name in measuring.golden for name in group.values)
    )


def _layer(
    measuring: Measuring,
    view: GraphView,
    number: int,
    group: Group,
    *,
    guilty: Collection[tuple[str, ...]],
    suffering: Collection[str],
) -> Layer:
    first = measuring.golden[next(name for name in group.values if name in measuring.golden)]
    low, high = range_of(first)
    accumulated = _worst(measuring.found.accumulated, group.values)
    own = _worst(measuring.found.own, group.values)
    born = [measuring.found.born[name] for name in group.values if name in measuring.found.born]
    inherited = any(name in measuring.found.born for name in group.before)
    failures = [measuring.found.failures[name] for name in group.values if name in measuring.found.failures]
    role = Role.FINE
    if group.values in guilty:
        role = Role.CULPRIT
    elif accumulated is not None and accumulated.is_wrong and suffering.__contains__(group.values[0]):
        role = Role.SUFFERS
    elif own is not None and own.is_wrong:
        role = Role.ROUGH
    return Layer(
        number=number,
        nodes=tuple(view.location(index) for index in group.nodes),
        values=group.values,
        mnn_ops=tuple(op.type for op in group.ops),
        shape=tuple(first.shape),
        dtype=first.dtype.name,
        low=low,
        high=high,
        accumulated=accumulated,
        own=own,
        born=born[0] if born and not inherited else "",
        role=role,
        note=failures[0].message if failures else "",
    )


def _beside(layer: Layer, host: Measuring | None) -> Layer:
    """A layer of a device, with what this machine makes of it."""
    if host is None:
        return layer
    found = host.found
    return replace(
        layer,
        host_accumulated=_worst(found.accumulated, layer.values),
        host_own=_worst(found.own, layer.values),
    )


def _worst(found: dict[str, Deviation], values: Collection[str]) -> Deviation | None:
    measured = [found[name] for name in values if name in found]
    return max(measured, key=lambda each: (each.is_wrong, each.error_ratio), default=None)


def layout_differences(measuring: Measuring, outputs: Collection[str]) -> Iterator[str]:
    """Values that the file holds in another form: they are wrong, and all that is computed from them is right."""
    readers: dict[str, list[str]] = {}
    for name, before in measuring.tensors.before.items():
        for each in before:
            readers.setdefault(each, []).append(name)
    wrong = {name for name, each in measuring.found.accumulated.items() if each.is_wrong}
    for name in wrong - set(outputs):
        if not wrong.intersection(readers.get(name, ())):
            yield name


def _holds_what_reads_it(measuring: Measuring, name: str) -> bool:
    """Whether a value, computed from right ones, is the right value of what reads it in the model."""
    kept = measuring.found.kept[name]
    for each in measuring.tensors.readers(name):
        golden = measuring.golden.get(each)
        if golden is not None and golden.size == kept.size and not measuring.deviation(each, kept).is_wrong:
            return True
    return False


def other_contents(measuring: Measuring, outputs: Collection[str]) -> set[str]:
    """Values of which the file holds another one under their name, as that of the ReLU that was joined with them.

    What is computed from such a value is wrong where the right value is put there, and is not as the file runs.
    """
    found = {name for name in measuring.found.kept if _holds_what_reads_it(measuring, name)}
    accumulated = measuring.found.accumulated
    for name, own in measuring.found.own.items():
        whole = accumulated.get(name)
        if whole is None or not own.is_wrong or not whole.error_ratio * _CLEARLY < own.error_ratio:
            continue
        found |= {
            each
            for each in measuring.tensors.before[name]
            if each in accumulated and accumulated[each].is_wrong and accumulated[each].error_ratio > whole.error_ratio
        }
    return found - set(outputs)
