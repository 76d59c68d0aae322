"""Configuration in `[tool.mnncompat]` of the nearest pyproject.toml; the command line wins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mnncompat.errors import UsageError
from mnncompat.files.reachable import is_file

# Key in the file -> (type, parameter, commands that have it).
_KEYS: dict[str, tuple[type, str, tuple[str, ...]]] = {
    "mnn": (str, "mnn", ("check", "ops")),
    "select": (list, "select", ("check", "fix", "convert")),
    "ignore": (list, "ignore", ("check", "fix", "convert")),
    "exclude": (list, "exclude", ("check", "ci", "fix", "convert", "upgrade")),
    "backend": (list, "backend", ("check", "fix", "convert")),
    "head": (str, "head", ("check", "fix", "convert")),
    "baseline": (str, "baseline", ("check",)),
    "fail-on": (str, "fail_on", ("check",)),
    "output-format": (str, "output_format", ("check", "ci", "fix", "convert", "upgrade", "verify")),
    "unsafe-fixes": (bool, "unsafe_fixes", ("fix", "convert")),
    "seed": (int, "seed", ("fix", "convert", "verify")),
    "tolerance": (list, "tolerance", ("convert", "verify")),
    "accept": (list, "accept", ("convert", "verify")),
    "require-session": (bool, "require_session", ("convert", "verify")),
    "recurrent": (str, "recurrent", ("convert",)),
    "max-size": (str, "max_size", ("convert",)),
    "max-ops": (int, "max_ops", ("convert",)),
    "max-latency-ratio": (float, "max_latency_ratio", ("convert",)),
    "precision": (str, "precision", ("check", "fix", "convert", "verify")),
    "devices": (dict, "", ()),
    "per-file-ignores": (dict, "", ()),
    "ignore-nodes": (list, "", ()),
    "models": (list, "", ()),
}

# What runs code, reaches other machines, or writes files: a repository must not do that to whoever checks its models.
_NEVER = (
    *("export", "feeds", "metric", "transform", "python", "ssh", "host", "device", "remote"),
    *("scheduler", "shared", "results"),
    *("output", "out", "in-place", "save-data", "load-data", "evidence", "input", "preprocess"),
)


_CHOSEN: list[Path] = []
"""The file that the command line names."""


def defaults(words: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Defaults of the commands' options, by command and parameter.

    Args:
        words: The command line; with --help no file is read.

    Raises:
        UsageError: The file is not TOML, or a key or value does not fit.
    """
    if not words or "--help" in words or "-h" in words:
        return {}
    file, table = nearest_table()
    found: dict[str, dict[str, Any]] = {}
    for key, value in table.items():
        _kind, parameter, commands = entry_of(key, value, file)
        for command in commands:
            found.setdefault(command, {})[parameter] = _inside(value, key, file) if key == "baseline" else value
    return found


def _inside(name: str, key: str, file: Path | None) -> Path:
    """A path below the folder of the file, relative to the working directory."""
    folder = (file or Path()).parent
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{file}: {key} = '{name}' is outside the folder of the file", hint="name a path below it")
    return folder / name


def configured(key: str) -> Any:
    """What the file states for a key, None if nothing."""
    return nearest_table()[1].get(key)


def choose_file(words: list[str]) -> list[str]:
    """Take ``--config FILE`` out of a command line: the configuration is read from that file from now on.

    Raises:
        UsageError: There is no such file.
    """
    _CHOSEN.clear()
    left: list[str] = []
    rest = iter(words)
    for word in rest:
        head, equals, text = word.partition("=")
        if word == "--":
            return [*left, word, *rest]
        if head != "--config":
            left.append(word)
            continue
        file = text if equals else next(rest, "")
        if not file or not is_file(Path(file)):
            raise UsageError(
                f"--config: {file or 'nothing'}: no such file", hint="name a pyproject.toml, or mnncompat.toml"
            )
        choose(Path(file))
    return left


def choose(file: Path) -> None:
    """Read the configuration from this file from now on."""
    _CHOSEN[:] = [file]


def nearest_table() -> tuple[Path | None, dict[str, Any]]:
    """The file of the configuration, and what it says.

    Raises:
        UsageError: The file is not TOML.
    """
    file = _nearest()
    return (None, {}) if file is None else (file, _table(file))


def _nearest() -> Path | None:
    if _CHOSEN:
        return _CHOSEN[0]
    return next((f / "pyproject.toml" for f in _folders() if is_file(f / "pyproject.toml")), None)


def _folders() -> tuple[Path, ...]:
    try:
        here = Path.cwd()
    except OSError:
        return ()
    return (here, *here.parents)


def _table(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes()
    except OSError:
        return {}
    if b"tool.mnncompat" not in text and not _CHOSEN:
        return {}
    return _parsed(file, text, chosen=bool(_CHOSEN))


@cache
def _parsed(file: Path, text: bytes, *, chosen: bool) -> dict[str, Any]:
    """The table of a file with these contents; a command asks for it several times."""
    import tomllib

    try:
        data = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file}: {error}", hint="correct the file") from error
    if chosen and "tool" not in data:
        return data
    tools = data.get("tool", {})
    table = tools.get("mnncompat", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.mnncompat is not a table", hint="write [tool.mnncompat]")
    return table


def entry_of(key: str, value: Any, file: Path | None) -> tuple[type, str, tuple[str, ...]]:
    """The type of a key's value, the parameter that it sets, and the commands that have it.

    Raises:
        UsageError: There is no such key, it may not be there, or its value does not fit.
    """
    if key.replace("_", "-").lower() in _NEVER:
        raise UsageError(
            f"{file}: '{key}' may not be in [tool.mnncompat]: it could run code, or read and write files, unasked",
            hint="give it on the command line, and remove it from the file",
        )
    if key not in _KEYS:
        raise UsageError(f"{file}: [tool.mnncompat] has no key '{key}'", hint=f"there are: {', '.join(_KEYS)}")
    kind = _KEYS[key][0]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{file}: {key} must be a {kind.__name__}", hint=f"for instance {key} = {_EXAMPLES[kind]}")
    return _KEYS[key]


_EXAMPLES: dict[type, str] = {str: '"text"', list: '["MNN801"]', bool: "true", int: "0", float: "1.05", dict: "{}"}
