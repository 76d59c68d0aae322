"""Where the cases of a corpus are measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.cli import options
from mnncompat.cli.fleet_options import Release, Scheduler
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.probe.case import Case
    from mnncompat.probe.measurement import Measurement

    Measuring = tuple[dict[str, str], Callable[[Iterable[Case]], Iterator[Measurement]]]


class CaseFleet(NamedTuple):
    """Where cases are measured."""

    jobs: options.CaseJobs = None
    scheduler: Scheduler = None
    release: Release = None

    def require(self, *, here: bool = True, python: Path | None = None) -> None:
        """What is asked for fits together.

        Args:
            here: Whether anything is measured at all.
            python: Interpreter with another MNN on this machine.

        Raises:
            UsageError: It does not.
        """
        if not here and any(self):
            raise UsageError("--jobs, --scheduler and --release are about measuring", hint="add --measure")
        if self.scheduler is None and self.release is not None:
            raise UsageError("--release is about workers of a cluster", hint="add --scheduler, or name a --python")
        if self.scheduler is not None and (self.jobs is not None or python is not None):
            raise UsageError("--scheduler excludes --jobs and --python", hint="choose the release with --release")

    @contextlib.contextmanager
    def measuring(self, where: Where | None, python: Path | None = None) -> Iterator[Measuring]:
        """What measures cases: here, or on a cluster.

        Args:
            where: A device to run them on; None for none.
            python: Interpreter with the MNN to measure.

        Yields:
            The environment, and a function that measures.
        """
        if self.scheduler is None:
            from mnncompat.probe.environment import describe
            from mnncompat.probe.pool import Pool

            with Pool(jobs=self.jobs, python=python, where=where) as pool:
                yield describe(pool.environment, where), pool.measure
            return
        from mnncompat.cli.fleet_cases import ClusterPool

        with ClusterPool(self.scheduler, where, self.release) as there:
            yield there.describe(), there.measure


ON_ALL_CORES = CaseFleet()
"""Here."""
