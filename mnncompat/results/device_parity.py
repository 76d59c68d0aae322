"""Whether a file computes on a device what the original computes. Plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnncompat.results.proof_strength import ProofVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOutput:
    """One output on a device, over the draws that were run there.

    Attributes:
        name: The output.
        snr_db: The lowest signal-to-noise ratio of the draws that would have shown a dead output, in dB; infinite if
            there is no noise.
        top1: The lowest share of rows whose largest element is the same; None where the output has no such rows.
        worst: Name of the draw with that ratio.
        is_rough: Whether its tolerance is wider than that of float32, and it is not the same bit for bit.
        problems: Why it fails, one line each, the draw's name in front; empty when it passes.
    """

    name: str
    snr_db: float
    top1: float | None
    worst: str
    is_rough: bool
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it agrees in every draw."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParity:
    """What a file computes on a device, against the original under ONNX Runtime on the host.

    Attributes:
        device: Its name, such as ``arm64:a76``.
        precision: What MNN was asked to compute in: ``high``, ``normal`` or ``low``.
        threads: Of a run.
        mnn: Version of MNN there.
        draws: Names of the draws that were run there.
        left_out: How many more draws the host compared.
        outputs: One for each output that can be compared.
        failure: Why there are no outputs; empty if there are.
    """

    device: str
    precision: str
    threads: int
    mnn: str
    draws: tuple[str, ...]
    left_out: int = 0
    outputs: tuple[DeviceOutput, ...] = ()
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether every output agrees."""
        return not self.failure and bool(self.outputs) and all(each.passed for each in self.outputs)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it fails, one line each."""
        if self.failure:
            return (self.failure,)
        return tuple(f"output {each.name!r}, {problem}" for each in self.outputs for problem in each.problems)

    @property
    def snr_db(self) -> float:
        """The lowest signal-to-noise ratio of an output, in dB."""
        return min((each.snr_db for each in self.outputs), default=math.inf)

    @property
    def top1(self) -> float | None:
        """The lowest share of rows whose largest element is the same; None if no output has such rows."""
        return min((each.top1 for each in self.outputs if each.top1 is not None), default=None)

    @property
    def verdict(self) -> ProofVerdict:
        """*equal*, *within* or *different*."""
        if not self.passed:
            return ProofVerdict.DIFFERENT
        return ProofVerdict.WITHIN if any(each.is_rough for each in self.outputs) else ProofVerdict.EQUAL
