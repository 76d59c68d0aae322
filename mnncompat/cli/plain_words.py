"""Command lines that need no interpretation, read without typer: it and its help take as long to import as a check.

What is not plainly valid - help, an unknown option, a value that does not fit, `--` - is left to typer, which decides
and explains; what is accepted here means the same there (`tests/cli/test_plain_words.py` compares them).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnncompat.cli.declared import Declared, declarations

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?")


class _NotPlainError(Exception):
    """typer has to look at it."""


def plain_call(
    command: Callable[..., None], words: Sequence[str], defaults: Mapping[str, Any]
) -> Callable[[], None] | None:
    """The call of a command that its words ask for; None if typer has to look at them.

    Args:
        command: A function whose parameters are declared by `mnncompat.cli.declared`.
        words: What follows the name of the command.
        defaults: From the configuration, by parameter.
    """
    try:
        values = _read(declarations(command), words, defaults)
    except _NotPlainError:
        return None
    from mnncompat.cli.per_model import call

    return lambda: call(command, values, words)


def _read(parameters: Sequence[Declared], words: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    options = _by_word(parameters)
    given: dict[str, list[Any]] = {}
    places: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            places.append(word)
            continue
        name, equals, text = word.partition("=")
        if name not in options or (equals and not name.startswith("--")):
            raise _NotPlainError
        parameter, truth = options[name]
        if parameter.kind is bool and not equals:
            given.setdefault(parameter.name, []).append(truth)
        else:
            given.setdefault(parameter.name, []).append(_value(parameter, text if equals else next(rest, "")))
    _fill(given, [each for each in parameters if not each.stated.is_option], places)
    values = {each.name: given[each.name] for each in parameters if each.name in given}
    read = {each.name: each for each in parameters}
    found = {name: each if read[name].is_list else each[-1] for name, each in values.items()}
    return _configured(read, defaults) | found


def _by_word(parameters: Sequence[Declared]) -> dict[str, tuple[Declared, bool]]:
    """The parameter of each word that names an option, and what the word says if it is a flag."""
    found: dict[str, tuple[Declared, bool]] = {}
    for each in parameters:
        for names in each.stated.names:
            yes, _, no = names.partition("/")
            found[yes] = each, True
            if no:
                found[no] = each, False
    return found


def _value(parameter: Declared, text: str) -> Any:
    if not text or text.startswith("-"):
        raise _NotPlainError
    if parameter.kind is str:
        return text
    if parameter.kind is Path:
        return _path(text)
    fits = {int: _WHOLE, float: _DECIMAL}.get(parameter.kind)
    if fits is None or not fits.fullmatch(text):
        raise _NotPlainError
    number = parameter.kind(text)
    if not _is_within(parameter, number):
        raise _NotPlainError
    return number


def _is_within(parameter: Declared, number: float) -> bool:
    """Whether a number keeps to the bounds that an option states."""
    least, most = (parameter.stated.details.get(each) for each in ("min", "max"))
    return (least is None or number >= least) and (most is None or number <= most)


def _path(text: str) -> Path:
    """A path; typer refuses what is there and cannot be read."""
    if not os.access(text, os.R_OK) and os.path.lexists(text):
        raise _NotPlainError
    return Path(text)


def _fill(given: dict[str, list[Any]], arguments: Sequence[Declared], places: Sequence[str]) -> None:
    """Give each argument its word, or all of them to the one that takes several."""
    values = [_path(each) if arguments and arguments[0].kind is Path else each for each in places]
    if len(arguments) == 1 and arguments[0].is_list and values:
        given[arguments[0].name] = values
    elif len(values) == len(arguments) and not any(each.is_list for each in arguments):
        given.update((each.name, [value]) for each, value in zip(arguments, values, strict=True))
    else:
        raise _NotPlainError


def _configured(parameters: Mapping[str, Declared], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that the configuration states."""
    for name, value in defaults.items():
        each = parameters[name]
        entries = value if each.is_list else [value]
        if not isinstance(entries, list) or not all(type(entry) is each.kind for entry in entries):
            raise _NotPlainError
        if each.kind in (int, float) and not all(_is_within(each, entry) for entry in entries):
            raise _NotPlainError
    return dict(defaults)
