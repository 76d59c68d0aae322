"""What runs a part of a converted file: one protocol, and the runner in child processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
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


class AheadRunner:
    """A runner of which runs are begun before their results are asked for.

    Args:
        runner: Runs the file.
        pool: Where runs are begun; None begins nothing.
    """

    def __init__(self, runner: TraceRunner, pool: Executor | None) -> None:
        self.name = runner.name
        self._runner = runner
        self._pool = pool
        self._begun: list[tuple[_Asked, Future[Traced | Failure]]] = []

    def begin(self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]) -> None:
        """Begin a run that `trace` will be asked for."""
        if self._pool is not None:
            asked = dict(feeds), tuple(wanted), dict(held)
            self._begun.append((asked, self._pool.submit(self._runner.trace, *asked)))

    def trace(
        self, feeds: Mapping[str, np.ndarray], wanted: Sequence[str], held: Mapping[str, Held]
    ) -> Traced | Failure:
        """Compute tensors of the file's main graph from others, see `TraceRunner.trace`."""
        for number, (asked, running) in enumerate(self._begun):
            if _is_same(asked, (feeds, tuple(wanted), held)):
                del self._begun[number]
                return running.result()
        return self._runner.trace(feeds, wanted, held)


_Asked = tuple[Mapping[str, "np.ndarray"], tuple[str, ...], Mapping[str, Held]]


def _is_same(one: _Asked, two: _Asked) -> bool:
    """Whether two runs are on the very same arrays."""
    if one[1] != two[1] or one[0].keys() != two[0].keys():
        return False
    if any(one[2].get(name) != two[2].get(name) for name in one[0]):
        return False
    return all(is_same_array(array, two[0][name]) for name, array in one[0].items())


def is_same_array(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two arrays are the same memory, seen in the same way."""
    return one is two or one.__array_interface__ == two.__array_interface__


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
