"""What runs a part of a converted file: one protocol, and the runner in child processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from mnncompat import mnn
from mnncompat.mnn import Held, Limits, Traced
from mnncompat.results.failures import Failure, FailureKind

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.mnn.request import Performer

HERE = "MNN"
"""What reports call MNN on this machine."""
_NOTHING: Mapping[str, Held] = MappingProxyType({})
_DEADLY = frozenset({FailureKind.HANG, FailureKind.FLOOD})


class TraceRunner(Protocol):
    """Runs parts of one converted file, wherever that is."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def trace(
        self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]
    ) -> Traced | Failure:
        """Compute tensors of the file's main graph from others.

        Args:
            feeds: Inputs of the model, or tensors inside it -> array.
            wanted: Tensors to compute.
            held: How the runtime holds the tensors in `feeds` that are no inputs of the model.
        """


class FileRunner:
    """MNN in child processes, here or on a device.

    Args:
        file: The `.mnn` file.
        limits: What each child may use.
        performer: Carries out the requests; a fork server's takes milliseconds.
        name: What reports call it.
        inputs: How MNN holds inputs of which the file says nothing, as those of bodies.
    """

    def __init__(
        self,
        file: Path,
        *,
        limits: Limits,
        performer: Performer,
        name: str = HERE,
        inputs: Mapping[str, Held] = _NOTHING,
    ) -> None:
        self.name = name
        self._inputs = inputs
        self._file = file
        self._limits = limits
        self._performer = performer

    def trace(
        self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]
    ) -> Traced | Failure:
        """Compute tensors of the file's main graph from others, see `TraceRunner.trace`."""
        known = {**self._inputs, **held}
        return mnn.trace(
            self._file,
            feeds,
            wanted=wanted,
            held=known,
            limits=self._limits,
            performer=self._performer,
        )


def traced_apart(
    runner: TraceRunner, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]
) -> tuple[Traced, dict[str, Failure]]:
    """Compute tensors; where that fails as a whole, halves of them, down to those that fail alone.

    Returns:
        What was computed, and the tensors that could not be, each with its failure. What hangs is not cut further.
    """
    found = runner.trace(feeds, wanted, held)
    if not isinstance(found, Failure):
        return found, {}
    if len(wanted) == 1 or found.kind in _DEADLY:
        return Traced(values={}, held={}, seconds=0.0), dict.fromkeys(wanted, found)
    middle = len(wanted) // 2
    one, failed = traced_apart(runner, feeds, wanted[:middle], held)
    two, more = traced_apart(runner, feeds, wanted[middle:], held)
    joined = Traced(values=one.values | two.values, held=one.held | two.held, seconds=one.seconds + two.seconds)
    return joined, failed | more
