"""What ONNX Runtime's words about a refusal tell of the inputs that it is about."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mnncompat.inference.domain_claims import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.graph.view import GraphView
    from mnncompat.parity.input_plan import InputPlan
    from mnncompat.results.failures import Failure

_BOUNDS = re.compile(r"out of data bounds, idx=(-?\d+) must be within the inclusive range \[(-?\d+),(-?\d+)\]")
_NODE = re.compile(r"running (\w+) node\. Name:'([^']*)'")
_GUESSED_HIGH = 1


def refine(plan: InputPlan, failure: Failure) -> bool:
    """Correct the domain of the inputs that a refusal is about; False if it says nothing that helps.

    Args:
        plan: What was fed; its domains are corrected in place.
        failure: What the runtime said.
    """
    words = f"{failure.message}\n{failure.words}"
    bounds = _BOUNDS.search(words)
    if bounds is not None:
        return _narrow(plan, words, int(bounds[3]))
    return _shrink_guesses(plan)


def _narrow(plan: InputPlan, words: str, high: int) -> bool:
    """Indices of one node are too large: bound the inputs that they come from."""
    told = _NODE.search(words)
    names = set(_sources(plan.view, told[1], told[2])) if told is not None else set()
    changed = False
    for name, domain in plan.domains.items():
        is_concerned = name in names if names else domain.kind is Kind.INTEGERS
        most = high if domain.high > high else domain.high // 2  # sums of several may be indices, too
        if is_concerned and name not in plan.arrays and domain.high > 0:
            reason = f"ONNX Runtime allows indices up to {high}"
            plan.domains[name] = replace(
                domain, kind=Kind.IDS, low=max(0.0, min(domain.low, most)), high=most, values=(), reasons=(reason,)
            )
            plan.corrected.add(name)
            changed = True
    return changed


def _sources(view: GraphView, op: str, name: str) -> Iterator[str]:
    """Inputs that the indices of a node come from."""
    node = next((each for each in view.nodes if each.op_type == op and each.name == name), None)
    pending = list(node.input[1:2]) if node is not None else []
    seen: set[str] = set()
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        producer = view.producer(value)
        if producer is None:
            yield value
        elif producer.op_type not in ("Shape", "Size"):
            pending.extend(filter(None, producer.input))


def _shrink_guesses(plan: InputPlan) -> bool:
    """Whole numbers of which nothing is known are taken for 0 and 1."""
    changed = False
    for name, domain in plan.domains.items():
        if domain.kind is Kind.INTEGERS and not domain.values and domain.high > _GUESSED_HIGH and domain.low == 0:
            plan.domains[name] = replace(domain, high=_GUESSED_HIGH)
            plan.corrected.add(name)
            changed = True
    return changed
