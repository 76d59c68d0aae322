"""The typer application and its commands."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from mnncompat.cli import check, convert, export, fix, ops, rule, verify
from mnncompat.cli.config import defaults

__all__ = ["app", "defaults"]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Lint ONNX models for MNN, rewrite what MNN cannot take, convert, and prove that the result is equal.",
    epilog="Exit status: 0 clean, 1 findings, failed parity or failed conversion, 2 the tool could not do its work.",
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        from mnncompat.cli.console import tool_version

        sys.stdout.write(f"mnncompat {tool_version()}\n")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


_COMMANDS: dict[str, Any] = {
    "check": check.check,
    "fix": fix.fix,
    "convert": convert.convert,
    "verify": verify.verify,
    "export": export.export,
    "ops": ops.ops,
    "rule": rule.rule,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
