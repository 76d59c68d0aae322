"""What the probe measures: a micro-model, what to feed it, and what must come out. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One micro-model with its right answer.

    Attributes:
        id: `corpus:name`, unique, and the same in every run: evidence refers to it.
        op: The op type under test, the key of a summary.
        model: The serialized ONNX model, without external data.
        feeds: Graph input -> array in ONNX's dtype. Initializers that are inputs too may be left out.
        expected: Graph output -> array in ONNX's dtype and shape, in the graph's order; None where an input or output
            is nothing that numpy has an array of numbers for (string, sequence, optional, map): such a case is not run.
        rtol: Relative tolerance of the comparison, see `mnncompat.probe.compare`.
        atol: Absolute tolerance, in the output's unit.
    """

    id: str
    op: str
    model: bytes
    feeds: dict[str, np.ndarray]
    expected: dict[str, np.ndarray] | None
    rtol: float = 1e-3
    atol: float = 1e-7
