"""What went wrong in a process that ran MNN or ONNX Runtime: plain values, from the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass

from mnncompat.results.failure_kinds import FailureKind, Stage

__all__ = ["Failure", "FailureKind", "Stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """MNN could not do what it was asked.

    Attributes:
        kind: The kind of failure.
        stage: The stage in which it happened.
        message: One line for people: the signal's name, the limit, or the decisive line of `words`.
        words: What MNN printed, without its routine chatter; may be empty, may be several lines.
    """

    kind: FailureKind
    stage: Stage
    message: str
    words: str = ""

    def way_to_a_reference(self, otherwise: str) -> str:
        """What to do where the original gave no outputs.

        Args:
            otherwise: What helps where it was loaded, and did not run.
        """
        if self.stage is Stage.LOAD:
            return "no input helps, since the model is not even loaded: export it again, or with another opset"
        if self.kind is FailureKind.UNREPRESENTABLE:
            return "MNN has no such tensors: export the model without that output, labels as numbers"
        return otherwise
