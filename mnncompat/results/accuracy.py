"""How well a model does its task: under ONNX Runtime, in MNN, and as it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAccuracy:
    """One row of the table.

    Attributes:
        where: What ran: `ONNX Runtime`, `MNN`, `MNN, weights of 8 bits`, `MNN on arm64:a76, low`.
        scores: Name of a metric -> its value; empty if it did not run.
        agreement: Share of the samples with the same first class as under ONNX Runtime; None for other metrics.
        bytes: Size of the file with its weights; 0 for a model in memory.
        snr_db: Of its outputs against those of ONNX Runtime over all samples, in dB; None for ONNX Runtime itself.
        seconds: Processor time of a sample: the median; None where it is not known.
        problem: Why it has no scores; empty if it has.
    """

    where: str
    scores: Mapping[str, float]
    agreement: float | None = None
    bytes: int = 0
    snr_db: float | None = None
    seconds: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyReport:
    """A table.

    Attributes:
        labels: Where the labels are from.
        samples: How many were run.
        output: Name of the output that the metric reads; empty for a metric of the user, which gets all.
        rows: ONNX Runtime first.
    """

    labels: str
    samples: int
    output: str
    rows: tuple[TaskAccuracy, ...]

    @property
    def passed(self) -> bool:
        """Whether everything ran."""
        return not any(each.problem for each in self.rows)
