"""The one place that writes to the user. What it writes no terminal, log or runner takes for a command.

Reports are escaped by their renderers (`mnncompat.report`); here they are only kept from being read as workflow
commands of GitHub Actions (`::error::` at the start of a line, `##[error]` anywhere) or Azure Pipelines (`##vso[...]`).
Everything else - errors, hints, progress, tracebacks - is escaped here, line by line: it holds names from models, file
names, and messages of other libraries.
"""

from __future__ import annotations

import contextlib
import re
import sys

from mnncompat.errors import OutputError
from mnncompat.report.printable import printable

_AT_START = re.compile(r"^((?:\s|\x1b\[[\d;]*m)*):(?=:)", re.MULTILINE)
_ANYWHERE = re.compile(r"#(?=#(?:vso)?\[)")


_QUIET: list[bool] = []


def be_quiet(*, quiet: bool) -> None:
    """Whether progress and notes are left out from now on; errors are not."""
    _QUIET[:] = [True] if quiet else []


def is_quiet() -> bool:
    """Whether progress and notes are left out."""
    return bool(_QUIET)


def emit(text: str, output_format: str = "text") -> None:
    """Write a report to stdout.

    Args:
        text: The report, in which names are escaped.
        output_format: What it is: `json`, `sarif` and `gitlab` are JSON, `github` consists of workflow commands.

    Raises:
        OutputError: It cannot be written.
        BrokenPipeError: Nobody reads it any more.
    """
    if output_format in ("json", "sarif", "gitlab"):
        text = _ANYWHERE.sub(r"\\u0023", text)
    else:
        text = _ANYWHERE.sub(r"\\x23", text if output_format == "github" else _AT_START.sub(r"\1\\x3a", text))
    require_stdout("the report")
    try:
        sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write the report to standard output: {reason}", hint="check space where it is sent to"
        ) from error


def require_stdout(what: str) -> None:
    """Check that there is a standard output.

    Raises:
        OutputError: The caller closed it.
    """
    if sys.stdout is None:
        raise OutputError(f"cannot write {what}: standard output is closed", hint="send it to a file or a pipe")


def say(text: str) -> None:
    """Write one line to stderr, whatever is in it; if that is closed or full, there is nobody to tell."""
    if sys.stderr is None:
        return
    line = _ANYWHERE.sub(r"\\x23", _AT_START.sub(r"\1\\x3a", printable(text)))
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def say_lines(text: str) -> None:
    """Write a text whose line breaks are meant: help, a traceback."""
    for line in text.rstrip().split("\n"):
        say(line)


def say_error(message: str, hint: str) -> None:
    """Write an error and what to do about it, one line each."""
    say(f"error: {' '.join(message.split())}")
    say(f"hint: {' '.join(hint.split())}")
