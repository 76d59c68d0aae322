"""What ONNX Runtime's refusals are called."""

from __future__ import annotations

from mnncompat.parity.memory import says_out_of_memory
from mnncompat.results.failures import Failure, FailureKind, Stage


def runtime_refusal(stage: Stage, words: str) -> Failure:
    """ONNX Runtime does not load or run a model.

    Args:
        stage: Where it fails.
        words: Its own.
    """
    line = words.strip().splitlines()[0] if words.strip() else "no reason given"
    if says_out_of_memory(words):
        message = f"ONNX Runtime ran out of memory: {line}"
        return Failure(kind=FailureKind.MEMORY, stage=stage, message=message, words=words)
    return Failure(kind=FailureKind.ERROR, stage=stage, message=f"ONNX Runtime: {line}", words=words)


def no_numbers(name: str) -> Failure:
    """An output is nothing that can be compared."""
    message = f"output {name!r} holds strings, or is no tensor"
    return Failure(kind=FailureKind.UNREPRESENTABLE, stage=Stage.RUN, message=message, words="")
