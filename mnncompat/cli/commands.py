"""The commands: functions of the same name, each in a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

COMMANDS = (
    "check",
    "ci",
    "fix",
    "convert",
    "verify",
    "diagnose",
    "export",
    "info",
    "init",
    "ops",
    "probe",
    "report",
    "rule",
    "score",
    "snippet",
    "upgrade",
)
"""In the order of the help."""


def command_named(name: str) -> Callable[..., None]:
    """The function of a command; imports its module only."""
    found: Callable[..., None] = getattr(import_module(f"mnncompat.cli.{name}"), name)
    return found
