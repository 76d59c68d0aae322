"""Commands that sentences name: hints, findings, help, documentation of rules and rows of the table.

A user types them: each has to exist, with the options that it is said to have.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from mnncompat.cli.app import application
from mnncompat.cli.commands import COMMANDS
from mnncompat.support.rule_files import root

PACKAGE = Path(__file__).resolve().parents[2] / "mnncompat"
_COMMAND = re.compile(r"`mnncompat ([^`\n]+(?:\n[^`\n]+)?)`")
_OPTION = re.compile(r"`(--[a-zA-Z][a-zA-Z0-9-]*)[^`]*`")
_GAP = "\N{HORIZONTAL ELLIPSIS}"
"""Where a sentence gets a value when it is printed."""
_OF_OTHERS = {"--compressionParamsFile", "--saveExternalData", "--useOriginRNNImpl"}
"""Options of MNN's converter."""


def sentences() -> Iterator[tuple[str, str]]:
    """Where a text is, and the text."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = _text(node)
            if "`" in text:
                yield f"{file.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}", text
    for file in sorted(root().rglob("*.toml")):
        for text in _strings(tomllib.loads(file.read_text(encoding="utf-8"))):
            if "`" in text:
                yield file.name, text


def _text(node: ast.AST) -> str:
    """A string of the source, with a gap for each value that is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else _GAP for each in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(each)


@cache
def _group(first: str) -> Any:
    return typer.main.get_command(application([first]))


@cache
def _options(words: tuple[str, ...]) -> frozenset[str]:
    command = _group(words[0])
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    return frozenset(name for each in command.params for name in (*each.opts, *each.secondary_opts)) | {"--help", "-h"}


def unknown(line: str) -> str:
    """What a command line names that does not exist; empty if all of it does."""
    words = [word for word in line.replace(_GAP, " ").split() if word not in ("|", "...")]
    if not words or words[0].startswith("-"):
        known = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
        return "" if set(words) <= known else line
    names = [words[0]]
    children = _children(_group(names[0]))
    if names[0] not in (*COMMANDS, *children):
        return names[0]
    inner = _children(children.get(names[0]))
    if inner and len(words) > 1:
        if words[1].strip(",") not in inner:
            return f"{names[0]} {words[1]}"
        names.append(words[1])
    said = [word.split("=")[0].rstrip(",") for word in words[1:] if re.match(r"--?[a-zA-Z]", word)]
    return " ".join(word for word in said if word not in _options(tuple(names)))


def _children(command: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


def test_commands_that_sentences_name_exist_with_their_options() -> None:
    lines = {(place, line) for place, text in sentences() for line in _COMMAND.findall(text)}
    assert len(lines) > 100, "the sentences were not found"
    wrong = sorted(f"{place}: mnncompat {line}: {unknown(line)}" for place, line in lines if unknown(line))
    assert not wrong, "\n".join(wrong)


def test_options_that_sentences_name_exist() -> None:
    known = frozenset().union(*(_options((each,)) for each in COMMANDS)) | _OF_OTHERS
    named = {(place, each) for place, text in sentences() for each in _OPTION.findall(text)}
    assert len(named) > 20, "the sentences were not found"
    assert not sorted(f"{place}: {each}" for place, each in named if each not in known)


@pytest.mark.parametrize("line", ["chekc MODEL", "fix --shapes x:1", "device setpu arm64", "--exit-zero"])
def test_what_does_not_exist_is_seen(line: str) -> None:
    assert unknown(line)
