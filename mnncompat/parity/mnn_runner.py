"""MNN as a runner: the Module API, and a Session beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat import mnn
from mnncompat.parity.speed import Timings
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mnncompat.mnn import Limits


class MnnRunner:
    """MNN, in a child process.

    Args:
        path: The `.mnn` file.
        outputs: Names of the outputs to compute.
        limits: What the child process may use.
        name: What reports call it.

    Attributes:
        inner: Tensors inside the model, computed of the first of the feeds after all outputs, and given with them.
        timings: Of the runs so far.
        for_session: Numbers of the feeds that MNN's Session API is run on after that.
        in_session: What it gave of them in the last run; None if it was not run.
    """

    __slots__ = ("_limits", "_outputs", "_path", "for_session", "in_session", "inner", "name", "timings")

    def __init__(self, path: Path, *, outputs: Sequence[str], limits: Limits, name: str = "MNN") -> None:
        self.name = name
        self.inner: tuple[str, ...] = ()
        self.timings = Timings()
        self.for_session: tuple[int, ...] = ()
        self.in_session: mnn.SessionRan | None = None
        self._path = path
        self._outputs = tuple(outputs)
        self._limits = limits

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds, all in one child process.

        Args:
            feeds: Input name -> array, in the dtypes that the ONNX model declares.

        Returns:
            For each of the feeds: output name -> array in MNN's dtype; or how it failed.

        Raises:
            RunnerError: MNN is not installed.
        """
        ran = mnn.run(
            self._path,
            feeds,
            output_names=self._outputs,
            inner=self.inner,
            session=[each for each in self.for_session if each < len(feeds)],
            limits=self._limits,
        )
        if isinstance(ran, Failure):
            return ran
        self.in_session = ran.session
        for feed, seconds in zip(feeds, ran.draw_seconds, strict=False):
            self.timings.add(feed, seconds)
        first, *others = ran.outputs
        return [first | ran.inner, *others]
