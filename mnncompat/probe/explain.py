"""One case in full: the model as text, its inputs and expected outputs, each measurement, and what MNN printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.probe.case import Case
    from mnncompat.probe.prober import Prober

_ELEMENTS = 48


def explain(case: Case, prober: Prober) -> str:
    """A case and its measurements as text.

    Raises:
        RunnerError: MNN cannot be imported where the prober looks for it.
    """
    parts = [onnx.printer.to_text(onnx.load_model_from_string(case.model))]
    parts += [f"feed earlier {_array(name, value)}" for feeds in case.earlier for name, value in feeds.items()]
    parts += [f"feed {_array(name, value)}" for name, value in case.feeds.items()]
    parts += [f"expected {_array(name, value)}" for name, value in (case.expected or {}).items()]
    found = prober.attempts(case)
    for number, each in enumerate(found, start=1):
        parts += [f"\nmeasurement {number}:", *_attempt(case, each, prober)]
    measured = prober.verdict(case, found)
    there = f" on {prober.where}" if prober.where is not None else ""
    parts.append(
        f"\nMNN {prober.environment.mnn}{there}  {measured.op}  {measured.id}  {measured.code}  {measured.detail}"
    )
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"


def _attempt(case: Case, found: dict[str, np.ndarray] | Failure, prober: Prober) -> list[str]:
    if isinstance(found, Failure):
        return [
            f"  {found.kind} at {found.stage}: {found.message}",
            *(f"  | {each}" for each in found.words.splitlines()),
        ]
    aspect, detail = prober.judged(case, found)
    return [*(f"  {_array(name, value)}" for name, value in found.items()), f"  {aspect.value or 'right'} {detail}"]


def _array(name: str, value: np.ndarray) -> str:
    text = np.array2string(value, threshold=_ELEMENTS, separator=", ")
    return f"{name}: {value.dtype.name}{list(value.shape)}\n    " + text.replace("\n", "\n    ")
