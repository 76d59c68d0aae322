"""What a lock file keeps of one conversion, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnncompat.results.outcomes import ConvertResult


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """One output.

    Attributes:
        dtype: numpy's name.
        snr_db: Lowest signal-to-noise ratio against the original over all draws; infinite where both are equal.
        top1: Lowest share of rows whose largest element is the same; None where that means nothing.
        sample: Some of the values that the original gives for the first draw, evenly spread, in order.
    """

    dtype: str
    snr_db: float
    top1: float | None = None
    sample: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One model.

    Attributes:
        path: The model, relative to the folder of the lock file, with forward slashes.
        sha256: Of the file and of those that hold its weights.
        mnn: The release of MNN.
        options: How it was converted, in words.
        converted: Whether a file was published, or would have been.
        verdict: `ProofVerdict`, or how the conversion failed.
        size: Bytes of the converted file.
        session: Whether MNN's Session API runs the file as the Module API does; None if it was not tried.
        exercised: Operators that the proof would have caught, had they been wrong.
        tried: Operators that were tried; 0 if that was not measured.
        errors: Rules with findings of level error in the model that was converted.
        nodes: Ops of the converted file: type and name.
        fallbacks: Ops of the converted file that the project's backends leave to others; see `kept_placement`.
        outputs: By name.
        latency_ratio: Time of the model converted as it is by that of the file; None if not measured.
    """

    path: str
    sha256: str
    mnn: str
    options: str
    converted: bool
    verdict: str
    size: int = 0
    session: bool | None = None
    exercised: int = 0
    tried: int = 0
    errors: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    outputs: Mapping[str, OutputRecord] = field(default_factory=dict)
    latency_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedConversion(ConvertResult):
    """A conversion, and what a lock file keeps of it.

    Attributes:
        record: That.
    """

    record: Record
