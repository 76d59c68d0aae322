"""`mnncompat init`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Annotated

from mnncompat.cli.console import begin_work, emit, note, tool_version
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.errors import UsageError
from mnncompat.report.printable import printable

_HOOKS = Path(".pre-commit-config.yaml")
_PROJECT = Path("pyproject.toml")
_WORKFLOW = Path(".github/workflows/mnncompat.yml")
_BASELINE = "mnncompat-baseline.json"
_HOME = "https://github.com/mnncompat/mnncompat"
_TOP_LEVEL = re.compile(r"^[A-Za-z_]", re.MULTILINE)
_ENTRY = re.compile(r"^( *)- +repo:", re.MULTILINE)


def init(
    folders: Annotated[
        list[Path] | None, argument(metavar="[FOLDER]...", help="Where the models are. [default: here]")
    ] = None,
    *,
    github: Annotated[bool, option("--github", help=f"Write {_WORKFLOW} as well.")] = False,
    dry_run: Annotated[bool, option("--dry-run", help="Print what would be written, and write nothing.")] = False,
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Set a repository up: settings for the models that are found, and hooks of pre-commit.

    Writes tables of models into pyproject.toml and the hooks into .pre-commit-config.yaml, beside what is there; what
    has settings or hooks of mnncompat already is left as it is.
    """
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    from mnncompat.files.model_paths import model_files

    models = model_files(folders or [Path()])
    damaged = _damaged(models)
    planned = [_settings(models, damaged), _hooks(), *([_workflow()] if github else [])]
    for path, text in planned:
        if text is None:
            note(f"{path} has mnncompat already: left as it is")
        elif dry_run:
            emit(f"# {path}\n{text}")
        else:
            _write(path, text)
    if not dry_run:
        _tell_next(len(models), damaged)


def _damaged(models: Sequence[Path]) -> dict[Path, str]:
    """Models that cannot be read, and why. Those that are not here yet (Git LFS) are not damaged."""
    from mnncompat.errors import ModelError
    from mnncompat.graph.model_file import is_pointer, load

    found: dict[Path, str] = {}
    for path in models:
        try:
            load(path)
        except ModelError as error:
            if not is_pointer(path):
                found[path] = " ".join(error.message.split()).removeprefix(f"{path}: ")
    return found


def _settings(models: Sequence[Path], damaged: Mapping[Path, str]) -> tuple[Path, str | None]:
    """The project's settings, with a table for each folder of models; what cannot be read is left out, and named."""
    before = _text(_PROJECT)
    if "[tool.mnncompat" in before:
        return _PROJECT, None
    outside = [path for path in models if path.is_absolute() or ".." in path.parts]
    if outside:
        raise UsageError(
            f"{outside[0]} is not below this folder", hint="run `mnncompat init` in the repository's folder"
        )
    lines = ["[tool.mnncompat]", f"baseline = {_quoted(_BASELINE)}"]
    if damaged:
        entries = (f"  {_quoted(escape(path.as_posix()))},  # {printable(why)}" for path, why in damaged.items())
        lines += ["exclude = [  # cannot be read: take them out when they are repaired", *entries, "]"]
    lines.append("")
    for folder in dict.fromkeys(path.parent for path in models):
        pattern = (folder / "*.onnx").as_posix()
        lines += ["[[tool.mnncompat.models]]", f"path = {_quoted(pattern)}", ""]
    return _PROJECT, _joined(before, "\n".join(lines))


def _hooks() -> tuple[Path, str | None]:
    """The configuration of pre-commit with the hooks.

    Raises:
        UsageError: The file has another form than can be added to.
    """
    before = _text(_HOOKS)
    if "mnncompat" in before:
        return _HOOKS, None
    lines = [
        f"- repo: {_HOME}",
        f"  rev: v{tool_version()}",
        "  hooks:",
        "    - id: mnncompat-check",
    ]
    if not before.strip():
        return _HOOKS, "\n".join(["repos:", *(f"  {line}" for line in lines), ""])
    _, found, rest = before.partition("repos:")
    entries = _ENTRY.findall(rest)
    if not found or not entries or _TOP_LEVEL.search(rest):
        raise UsageError(
            f"{_HOOKS}: its list of repos is not at its end, so nothing can be added", hint=f"add: {' / '.join(lines)}"
        )
    return _HOOKS, "\n".join([before.rstrip("\n"), *(f"{entries[0]}{line}" for line in lines), ""])


def _workflow() -> tuple[Path, str | None]:
    if _text(_WORKFLOW):
        return _WORKFLOW, None
    return _WORKFLOW, (
        "name: mnncompat\n"
        "on: [push, pull_request]\n"
        "permissions:\n"
        "  contents: read\n"
        "  security-events: write\n"
        "jobs:\n"
        "  check:\n"
        "    runs-on: ubuntu-latest\n"
        "    steps:\n"
        "      - uses: actions/checkout@v4\n"
        "        with:\n"
        "          lfs: true\n"
        f"      - uses: mnncompat/mnncompat@v{tool_version()}\n"
        "        with:\n"
        "          models: .\n"
    )


def _write(path: Path, text: str) -> None:
    from mnncompat.graph.atomic_files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    note(f"wrote {path}")


def _tell_next(models: int, damaged: Mapping[Path, str]) -> None:
    from mnncompat.report.measures import counted

    note(f"found {counted(models, 'model')}; next:")
    for path, why in damaged.items():
        note(f"  repair {path}: {why}; it is excluded until then")
    note("  mnncompat check --statistics")
    note(f"  mnncompat check --update-baseline   (if findings have to wait: then {_BASELINE} knows them)")
    note("  pre-commit install")


def _text(path: Path) -> str:
    """What a file says; empty if there is none.

    Raises:
        UsageError: It is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}", hint="make it a text file that you may read") from error


def _joined(before: str, text: str) -> str:
    return f"{before.rstrip()}\n\n{text}" if before.strip() else text


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    import json

    return json.dumps(text, ensure_ascii=False)
