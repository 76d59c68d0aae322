"""The help says all that options state, and fits a narrow terminal."""

from __future__ import annotations

import pytest

from mnncompat.cli import main
from mnncompat.cli.commands import COMMANDS, command_named
from mnncompat.cli.declared import declarations


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_is_explained_in_full(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnncompat.cli.console.terminal_width", lambda: 60)
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 60 for line in shown.splitlines())
    words = "".join(shown.split())
    for each in declarations(command_named(name)):
        told = "".join(str(each.stated.details.get("help", "")).split())
        assert told in words, each.name


def test_the_list_of_commands_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in COMMANDS:
        told = " ".join((command_named(name).__doc__ or "").partition("\n\n")[0].split()).rstrip(".")
        assert f"{name} {told}" in shown
