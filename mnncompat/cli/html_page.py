"""`--html`: the report as a page for the browser, and the graphs that it draws."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.graph.model_file import Model

_MODELS = (".onnx", ".mnn")
_FOLDERS: list[ScratchFolder] = []
"""Where graphs are kept until the page is written; one for the command, whatever it calls."""


def require_page(file: Path) -> None:
    """Check that a page can be written to a file; from now on graphs are kept for it.

    Raises:
        UsageError: It is named like a model.
        OutputError: It cannot be written.
    """
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.graph.atomic_files import require_writable

    if file.suffix.lower() in _MODELS:
        raise UsageError(f"--html {file} names a model, and would overwrite it", hint="name a file like report.html")
    require_writable(file)
    if not _FOLDERS:
        _FOLDERS.append(ScratchFolder())


def keep_graphs(name: str, original: Model, **others: Any) -> None:
    """Keep the graphs of a model for the page, if there is to be one.

    Args:
        name: Path of the model as results call it.
        original: The model as it was given.
        **others: Of `mnncompat.viewing.kept.keep`.
    """
    if not _FOLDERS:
        return
    from mnncompat.viewing.kept import keep

    keep(_folder(name), original, **others)


def is_kept() -> bool:
    """Whether there is to be a page."""
    return bool(_FOLDERS)


def write_page(file: Path, results: Sequence[Any], notes: Sequence[str] = ()) -> None:
    """Write the page, and forget the graphs that were kept for it.

    Args:
        file: Where to.
        results: What is reported.
        notes: What was not done, and why.

    Raises:
        OutputError: It cannot be written.
    """
    from mnncompat.checking.rule_catalog import all_rule_infos
    from mnncompat.cli import command_line
    from mnncompat.cli.console import note
    from mnncompat.diagnosing.environment import versions
    from mnncompat.graph.atomic_files import write_atomically
    from mnncompat.report.subject import source_of
    from mnncompat.support.rule_files import root
    from mnncompat.viewing.page import page

    names = dict.fromkeys(source_of(each) for each in results)
    for name in names:
        _require_graph(name)
    text = page(
        results,
        folders={name: _folder(name) for name in names} if _FOLDERS else {},
        rules=all_rule_infos(),
        rules_folder=root(),
        environment=versions(),
        command=command_line(),
        notes=notes,
    )
    write_atomically(file, text.encode(errors="surrogateescape"))
    note(f"wrote {file}")
    forget_graphs()


def forget_graphs() -> None:
    """Remove what was kept; harmless when there is nothing."""
    while _FOLDERS:
        _FOLDERS.pop().cleanup()


def _require_graph(name: str) -> None:
    """Keep the graph of a model that was worked on elsewhere: on another machine, or in an earlier run."""
    from mnncompat.errors import ModelError
    from mnncompat.graph.model_file import load

    if not _FOLDERS or _folder(name).exists() or not name or name == "-":
        return
    with contextlib.suppress(ModelError):
        keep_graphs(name, load(name))


def _folder(name: str) -> Path:
    return _FOLDERS[-1].path / hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32]
