"""The typer application and its commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from mnncompat.cli.commands import COMMANDS, command_named
from mnncompat.cli.declared import for_typer

_DEV, _DEVICE, _FLEET = "dev", "device", "fleet"
_HELP_WIDTH = 100


def application(words: Sequence[str]) -> typer.Typer:
    """The application for one command line.

    typer reads the signature of every registered command, which takes longer than checking a small model: if the first
    word names a command, only that one is registered.

    Args:
        words: The command line without the program's name.
    """
    app = typer.Typer(
        add_completion=_completes(words),
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich takes `[tool.mnncompat]` and `[default: ...]` for markup, and breaks words
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _help_width()},
        help="Lint ONNX models for MNN, rewrite what MNN cannot run, convert, and prove that the result is equal.",
        epilog="Exit status: 0 clean, 1 findings, failed parity or conversion, 2 the tool could not do its work.",
    )
    app.callback()(_main)
    if words and words[0] == _DEV:  # not in the list of commands: it is of use in a checkout only
        from mnncompat.cli.dev import dev

        app.add_typer(dev, name=_DEV)
        return app
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        command = command_named(name)
        app.command(name, short_help=_first_sentence(command))(for_typer(command, partial(_call, words=words[1:])))
    if not words or words[0] not in COMMANDS:
        from mnncompat.cli.device import device

        app.add_typer(device, name=_DEVICE)
        from mnncompat.cli.fleet import fleet

        app.add_typer(fleet, name=_FLEET)
    return app


def _first_sentence(command: Callable[..., None]) -> str:
    """What the list of commands says about one: in full, where typer would cut it."""
    return " ".join((command.__doc__ or "").partition("\n\n")[0].split()).rstrip(".")


def _help_width() -> int:
    """Columns of the help: those of the terminal, as far as lines are easy to read."""
    from mnncompat.cli.console import terminal_width

    return min(terminal_width() or _HELP_WIDTH, _HELP_WIDTH)


def _completes(words: Sequence[str]) -> bool:
    """Whether the command line is about completion in a shell, which takes time to prepare."""
    return "_MNNCOMPAT_COMPLETE" in os.environ or not words or words[0].startswith("-")


def _call(command: Callable[..., None], values: Mapping[str, Any], words: Sequence[str]) -> None:
    from mnncompat.cli.per_model import call

    call(command, values, words)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        from mnncompat.cli.console import emit, tool_version

        emit(f"mnncompat {tool_version()}")
        raise typer.Exit


def _main(
    *,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
