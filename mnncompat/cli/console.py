"""Writing to the user: reports to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mnncompat.cli.printing import be_quiet, emit, is_quiet, say
from mnncompat.errors import UsageError
from mnncompat.files.allowance import allow, allow_command, bounds_memory

__all__ = [
    "Reporting",
    "be_quiet",
    "begin_work",
    "check_format",
    "collected",
    "emit",
    "note",
    "progress_bar",
    "report",
    "terminal_width",
    "tool_version",
    "use_color",
]

_USUAL_WIDTH = 80
_COLLECTED: list[Collected] = []


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
    """Write a line about progress to stderr, unless the user wants none."""
    if not is_quiet():
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
    if is_quiet() or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Reporting(NamedTuple):
    """How results are reported.

    Attributes:
        output_format: See `mnncompat.report.OutputFormat`.
        file: Where to; None for standard output.
        statistics: Totals by rule come first; text and markdown only.
        verbose: Every place and all evidence; text only.
        html: Where a page for the browser goes as well; None for none.
        chart: What was measured is drawn after the report; text only.
    """

    output_format: str = "text"
    file: Path | None = None
    statistics: bool = False
    verbose: bool = False
    html: Path | None = None
    chart: bool = False

    def checked(self) -> Reporting:
        """The same, if it can be done; called before any work.

        Raises:
            UsageError: There is no such format.
            OutputError: The file cannot be written.
        """
        check_format(self.output_format)
        if self.file is not None:
            from mnncompat.cli.output_paths import require_report

            require_report(self.file, "--output-file")
        if self.html is not None:
            from mnncompat.cli.html_page import require_page

            require_page(self.html)
        if self.chart:
            from mnncompat.cli.html_page import begin_keeping

            if self.output_format != "text":
                raise UsageError("--chart draws in a text report", hint="leave out --output-format")
            begin_keeping()
        return self


def report(results: Sequence[Any], reporting: Reporting) -> None:
    """Render results to stdout or to a file.

    Raises:
        UsageError: There is no such format.
        OutputError: They cannot be written.
    """
    if _COLLECTED:
        _COLLECTED[-1].results.extend(results)
        _COLLECTED[-1].reporting = reporting
        return
    from mnncompat.report import render

    drawn = _charts(results, reporting) if reporting.chart else ""
    if reporting.html is not None:
        from mnncompat.cli.html_page import write_page

        write_page(reporting.html, results)
    to_file = reporting.file is not None
    text = render(
        results,
        check_format(reporting.output_format),
        rules=_rules(results, reporting.output_format),
        color=use_color() and not to_file,
        width=None if to_file else terminal_width(),
        statistics=reporting.statistics,
        verbose=reporting.verbose,
    )
    text += f"\n{drawn}" if drawn else ""
    if reporting.file is None:
        emit(text, reporting.output_format)
        return
    from mnncompat.graph.atomic_files import write_atomically

    write_atomically(reporting.file, text.encode(errors="surrogateescape"))
    note(f"wrote {reporting.file}")


def _charts(results: Sequence[Any], reporting: Reporting) -> str:
    """What `--chart` adds to a report."""
    from mnncompat.cli.html_page import kept_distributions
    from mnncompat.report.text.chart import charts

    to_file = reporting.file is not None
    encoding = "utf-8" if to_file or sys.stdout is None else sys.stdout.encoding or "ascii"
    plain = "utf" not in encoding.lower()
    width = None if to_file else terminal_width()
    return charts(results, kept_distributions(results), color=use_color() and not to_file, width=width, plain=plain)


class Collected:
    """Results that are reported later, together.

    Attributes:
        results: In the order in which they came.
        reporting: How the last of them were to be reported.
    """

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.reporting = Reporting()


@contextlib.contextmanager
def collected() -> Iterator[Collected]:
    """Results that are reported meanwhile are kept instead."""
    found = Collected()
    _COLLECTED.append(found)
    try:
        yield found
    finally:
        _COLLECTED.remove(found)


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is, as `COLUMNS` or the terminal itself says; None if it is none.

    The standard library asks descriptor 1, which is not the terminal's any more (`mnncompat.cli.descriptors`).
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    stated = os.environ.get("COLUMNS", "")
    if stated.isdecimal() and int(stated):
        return int(stated)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _USUAL_WIDTH
    except (OSError, ValueError):
        return _USUAL_WIDTH


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
