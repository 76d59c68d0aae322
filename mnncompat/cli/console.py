"""Writing to the user: reports to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mnncompat.cli.printing import emit, say
from mnncompat.errors import UsageError
from mnncompat.files.allowance import allow, allow_command, bounds_memory

__all__ = ["begin_work", "check_format", "emit", "note", "progress_bar", "report", "tool_version", "use_color"]


def begin_work(
    *,
    seconds: float | None = None,
    memory: int | None = None,
    runs: bool = False,
    measures: bool = False,
    rewrites: bool = False,
    whole: bool = False,
) -> None:
    """Switch garbage collection on again; called when a command has finished its imports (see `cli.run`).

    Args:
        seconds: What each model may take; None for the default (`mnncompat.files.allowance`).
        memory: Bytes; likewise.
        runs: Models are run or converted, not only looked at.
        measures: Their nodes are measured one by one.
        rewrites: They are run only to prove rewrites, not converted.
        whole: The command is about no model of the user's: what is given bounds all of it, and there is no default.
    """
    if memory is not None and not bounds_memory():
        note("--memory-limit is not enforced on this system, which does not say how much memory a process has")
    allow(seconds=seconds, memory=memory, runs=runs, measures=measures, rewrites=rewrites)
    if whole:
        allow_command(seconds=seconds, memory=memory)
    gc.freeze()  # what was imported stays: walking it takes 60 ms, and frees nothing
    gc.enable()


def note(text: str) -> None:
    """Write a progress line to stderr."""
    say(text)


def use_color() -> bool:
    """True if stdout is a terminal and the user did not switch colours off (https://no-color.org)."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, on a terminal only; yields a function that is called with what is done, and the total."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report(results: Sequence[Any], output_format: str) -> None:
    """Render results to stdout.

    Raises:
        UsageError: There is no such format.
    """
    from mnncompat.report import render

    emit(
        render(results, check_format(output_format), rules=_rules(results, output_format), color=use_color()),
        output_format,
    )


def check_format(output_format: str) -> Any:
    """The format of that name.

    Raises:
        UsageError: There is none.
    """
    from mnncompat.report import OutputFormat

    try:
        return OutputFormat(output_format)
    except ValueError:
        names = ", ".join(item.value for item in OutputFormat)
        raise UsageError(f"unknown output format: {output_format}", hint=f"there are: {names}") from None


def tool_version() -> str:
    """Version of mnncompat."""
    import importlib.metadata

    return importlib.metadata.version("mnncompat")


def _rules(results: Sequence[Any], output_format: str) -> Sequence[Any]:
    """The rules that a format needs: all of them, or of text the rewrites that findings name, imported by then."""
    from mnncompat.checking.rule_catalog import all_rule_infos, rewrite_info
    from mnncompat.rewrites.index import rewrite_named

    if output_format == "sarif":
        return all_rule_infos()
    checks = [getattr(result, "check", result) for result in results]
    found = [each for check in checks for each in getattr(check, "diagnostics", ())]
    named = dict.fromkeys(each.remedy for each in found if each.remedy and (each.fixable or each.may_fix))
    return [rewrite_info(rewrite) for rewrite in map(rewrite_named, named) if rewrite is not None]
