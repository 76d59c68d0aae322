"""The ONNX files that paths, folders and patterns name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from glob import has_magic, iglob
from pathlib import Path

from mnncompat.errors import UsageError
from mnncompat.files.inputs import note_input
from mnncompat.files.reachable import is_folder

SUFFIX = ".onnx"
"""Files of a folder that are models."""
_NOT_SEARCHED = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"})
"""Folders that are not searched, beside hidden ones: what is in them was not made by those who search."""
_GIT_SECONDS = 20.0
_DIGITS = re.compile(r"(\d+)")


def model_files(given: Sequence[Path], *, exclude: Sequence[str] = (), named: bool = False) -> list[Path]:
    """The models that words of a command line name, each once.

    A file is taken as it is given, also if it does not exist: whoever reads it says so. Of a folder all `.onnx` files
    are taken, of folders in it too, in natural order; so are the matches of a pattern (`*`, `?`, `[...]`, and `**` for
    any number of folders) that the shell did not expand. What git ignores, what is hidden, and what is excluded is left
    out of folders and patterns. Links to folders are not followed.

    Args:
        given: Files, folders and patterns.
        exclude: Patterns of names (`*-draft.onnx`, `old`) or of ends of paths (`detectors/*.onnx`).
        named: Leave out also files that are named themselves.

    Raises:
        UsageError: A folder or a pattern names no model.
    """
    models: dict[str, Path] = {}
    for path in given:
        if named and _is_plain(path) and is_excluded(path, exclude):
            continue
        for each in [path] if _is_plain(path) else _found(path, exclude):
            models.setdefault(os.path.normpath(each), each)
            note_input(each)
    return list(models.values())


def is_excluded(path: Path, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches the end of a path, or of one of the folders that it is in."""
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - links are not followed
    for pattern in patterns:
        wanted = Path(pattern.rstrip("/")).parts
        ends = range(len(wanted), len(parts) + 1)
        if any(_alike(parts[end - len(wanted) : end], wanted) for end in ends):
            return True
    return False


def _alike(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    return all(fnmatchcase(part, pattern) for part, pattern in zip(parts, patterns, strict=True))


def _is_plain(path: Path) -> bool:
    """Whether it names one file, or nothing."""
    return not is_folder(path) and (os.path.lexists(path) or not has_magic(str(path)))


def _found(path: Path, exclude: Sequence[str]) -> list[Path]:
    folder = is_folder(path)
    entries: Iterable[Path] = [path] if folder else map(Path, iglob(str(path), recursive=True))  # noqa: PTH207 - not relative
    found = {each for entry in entries for each in (_models_below(entry) if is_folder(entry) else _if_model(entry))}
    kept = [each for each in sorted(found, key=_natural) if not is_excluded(each, exclude)]
    ignored = _ignored_by_git(kept)
    models = [each for each in kept if each not in ignored]
    if not models:
        what = f"the folder has no {SUFFIX} files" if folder else f"no {SUFFIX} file matches"
        left = " besides those that git ignores or that are excluded" if found else ""
        raise UsageError(f"{path}: {what}{left}", hint="check the path; a file that is named itself is always taken")
    return models


def _if_model(path: Path) -> list[Path]:
    return [path] if path.suffix == SUFFIX else []


def _models_below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".") and each not in _NOT_SEARCHED]
        yield from (Path(where, each) for each in files if each.endswith(SUFFIX) and not each.startswith("."))


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """A key by which `model-2` comes before `model-10`."""
    parts = _DIGITS.split(str(path))
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts if part]


def _ignored_by_git(paths: Sequence[Path]) -> set[Path]:
    """Those that git ignores; none without git, or outside repositories. Nothing that a repository states is run."""
    inside: dict[Path, list[Path]] = {}
    for each in paths:
        repository = _repository(os.path.dirname(os.path.abspath(each)))  # noqa: PTH100, PTH120 - links are not followed
        if repository is not None:
            inside.setdefault(repository, []).append(each)
    return {each for repository, members in inside.items() for each in _ignored_in(repository, members)}


def _ignored_in(repository: Path, paths: Sequence[Path]) -> Iterator[Path]:
    import subprocess

    names = {os.path.abspath(each): each for each in paths}  # noqa: PTH100
    words = ["git", "-c", "core.fsmonitor=false", "-C", str(repository), "check-ignore", "-z", "--stdin"]
    asked = "\0".join(names).encode(errors="surrogateescape")
    try:
        done = subprocess.run(words, input=asked, capture_output=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return
    for each in done.stdout.decode(errors="surrogateescape").split("\0"):
        if each in names:
            yield names[each]


@cache
def _repository(folder: str) -> Path | None:
    """The working tree that a folder is in."""
    parent = os.path.dirname(folder)  # noqa: PTH120
    if os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
        return Path(folder)
    return None if parent == folder else _repository(parent)
