"""What comes of the work with one model, wherever it is done."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class Answer(NamedTuple):
    """What came of the work with one model.

    Attributes:
        result: What the command returned for it; None if it raised something.
        error: What was raised; None if nothing.
        seconds: Wall time that it took.
        notes: Lines that were written to standard error meanwhile.
        files: What was written elsewhere: absolute path -> contents, to be written here.
        worker: Address of the worker that did it; empty on this machine.
    """

    result: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    notes: str = ""
    files: Mapping[str, bytes] = {}
    worker: str = ""


def packed(answer: Answer) -> bytes:
    """An answer on its way: whoever passes it on need not look into it."""
    return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(data: bytes) -> Answer:
    """What `packed` was given."""
    answer: Answer = pickle.loads(data)  # noqa: S301 - of a worker, who can run anything here: SECURITY.md
    return answer


def timed(work: Callable[[Path], Any]) -> Callable[[Path], Answer]:
    """The same work, but an answer comes of it whatever happens."""

    def answered(path: Path) -> Answer:
        begun = time.monotonic()
        try:
            return Answer(result=work(path), seconds=time.monotonic() - begun)
        except Exception as error:  # noqa: BLE001 - told by whoever asked, in the order of the models
            return Answer(error=error, seconds=time.monotonic() - begun)

    return answered


def of_outcome(outcome: tuple[Answer | None, Exception | None]) -> Answer:
    """The answer of timed work that was done in another process, which may have been stopped."""
    answer, error = outcome
    return answer if answer is not None else Answer(error=error)
