"""`--timeout` and `--memory-limit` of commands that typer reads itself: those in groups, such as `fleet report`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from mnncompat.cli.console import begin_work
from mnncompat.cli.declared import for_typer
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_limits


def bounded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with both options; they bound all that it does, its children too.

    Args:
        command: A command with annotations of typer's.
    """

    @wraps(command)
    def wrapped(*, timeout: float | None = None, memory_limit: str | None = None, **values: Any) -> None:
        begin_work(**parse_limits(timeout, memory_limit), whole=True)
        command(**values)

    own, added = (inspect.signature(each, eval_str=True) for each in (command, for_typer(_limits)))
    wrapped.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *added.parameters.values()]
    )
    wrapped.__annotations__ = {each.name: each.annotation for each in wrapped.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return wrapped


def _limits(*, timeout: CommandTimeout = None, memory_limit: CommandMemory = None) -> None:
    """Options that every command has."""
