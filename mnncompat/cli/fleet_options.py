"""Where the models of a command are worked on, and where the results are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from mnncompat.cli.declared import option
from mnncompat.cli.report_options import ManyReportOptions
from mnncompat.errors import UsageError

_OLDEST = "3.0.0"
_MOST_JOBS = 256
"""The most processes."""
Jobs = Annotated[
    int,
    option(
        "--jobs",
        min=1,
        max=_MOST_JOBS,
        metavar="N",
        help="Models at a time, each in a process of its own; limits hold for each. [default: 1]",
        show_default=False,
    ),
]
Scheduler = Annotated[
    str | None,
    option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on the models on the workers of this Dask scheduler: `tcp://HOST:8786`, `tls://HOST:8786`, or the "
        "file that it wrote. Needs `mnncompat[dask]`.",
    ),
]
Results = Annotated[
    Path | None,
    option(
        "--results",
        metavar="DIR",
        help="Keep what comes of each model in a folder, a file each, and leave out what is there: a campaign that was "
        "stopped goes on.",
    ),
]
Shared = Annotated[
    Path | None,
    option(
        "--shared",
        metavar="DIR",
        help="A folder that the workers see under the same path: models travel through it, by the hash of their "
        "contents. [default: they are sent]",
    ),
]


Release = Annotated[
    str | None,
    option(
        "--release",
        metavar="VERSION",
        help="Have this release of MNN do it, since 3.0.0; it is installed by pip in a folder of its own where it is "
        "missing. [default: the one that is installed]",
    ),
]


class FleetOptions(NamedTuple):
    """Where the models of a command are worked on."""

    jobs: Jobs = 1
    scheduler: Scheduler = None
    results: Results = None
    shared: Shared = None
    release: Release = None

    def is_alone(self, models: Sequence[Path]) -> bool:
        """Whether they are worked on one by one, in this process, and nothing is kept."""
        several = self.jobs > 1 and len(models) > 1
        elsewhere = several or self.scheduler is not None or self.results or self.release
        return not elsewhere and not _TAKERS

    def chosen_release(self) -> str:
        """The release of MNN that does the work; empty if none is installed or asked for.

        Raises:
            UsageError: There is none such, or mnncompat does not run with it.
        """
        from mnncompat.support.releases import contains, installed_version, resolve_version

        if self.release is None:
            return installed_version() or ""
        found = resolve_version(self.release)
        if not contains(f">={_OLDEST}", found):
            raise UsageError(f"MNN {found} cannot be run here", hint=f"releases since {_OLDEST} can")
        return found


ALONE = FleetOptions()
"""One by one."""
NOT_SENT = frozenset(
    {"models", "exclude", "force_exclude", "config", *FleetOptions._fields}
    | {*ManyReportOptions._fields, "fail_on", "baseline", "update_baseline"}
)
"""Options by which models are chosen, results are reported, or the work is handed out: no worker needs them."""
REPORTS_ONLY = NOT_SENT | {"show_diff"}
"""Options that results do not depend on."""


class Invocation(NamedTuple):
    """A command that is being carried out, and the values of its options by name."""

    command: str
    values: Mapping[str, Any]


Own = Callable[[Path], Mapping[str, Any]]
"""Values of a command's options that only one model has, such as the file that it is compared with."""
_INVOKED: list[Invocation] = []
_PARTS: list[Invocation] = []
_TAKERS: list[Callable[[Sequence[Path], Callable[[Path], Any]], None]] = []


@contextlib.contextmanager
def invoked(command: str, values: Mapping[str, Any]) -> Iterator[None]:
    """A command is carried out meanwhile; another machine could do the same with these values."""
    _INVOKED.append(Invocation(command, values))
    try:
        yield
    finally:
        _INVOKED.pop()


def invocation() -> Invocation:
    """The command that is being carried out, as another machine would be told to do its part."""
    found = _INVOKED[-1]
    for each in _PARTS[-1:]:
        return Invocation(each.command, {**found.values, **each.values})
    return found


@contextlib.contextmanager
def part_of(command: str, values: Mapping[str, Any]) -> Iterator[None]:
    """What is carried out meanwhile is part of another command, which has more options."""
    _PARTS.append(Invocation(command, values))
    try:
        yield
    finally:
        _PARTS.pop()


@contextlib.contextmanager
def taken_by(taker: Callable[[Sequence[Path], Callable[[Path], Any]], None]) -> Iterator[None]:
    """The work that a command wants to do with models is handed to this function meanwhile."""
    _TAKERS.append(taker)
    try:
        yield
    finally:
        _TAKERS.pop()


def taker() -> Callable[[Sequence[Path], Callable[[Path], Any]], None] | None:
    """Whom the work is handed to; None if it is to be done."""
    return _TAKERS[-1] if _TAKERS else None
