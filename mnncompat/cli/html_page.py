"""`--html`: the report as a page for the browser, and the graphs that it draws."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.cli.output_paths import require_report

if TYPE_CHECKING:
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import MnnGraph

_FOLDERS: list[ScratchFolder] = []
"""Where graphs are kept until the page is written; one for the command, whatever it calls."""


def require_page(file: Path, option: str = "--html") -> None:
    """Check that a page can be written to a file; from now on graphs are kept for it.

    Args:
        file: The file.
        option: That names it.

    Raises:
        UsageError: It is named like a model.
        OutputError: It cannot be written.
    """
    require_report(file, option)
    begin_keeping()


def begin_keeping() -> None:
    """Graphs are kept from now on."""
    from mnncompat.files.scratch import ScratchFolder

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

    folder = _folder(name)
    wanted: dict[str, Any] = {"data": folder / "data", "fused": _fused, **others}
    keep(folder, original, **wanted)


def _fused(file: MnnGraph, view: GraphView) -> Iterator[tuple[int, int]]:
    """Ops of a file, and all nodes between what they compute and what was computed before."""
    from mnncompat.diagnosing.correspondence import corresponding

    places = {id(op): place for place, op in enumerate(file.ops)}
    matched = corresponding(file, view, ())
    for group in matched.groups:
        last = matched.ops_of(group.values[0])[0]
        for index in group.nodes:
            yield places[id(last)], index


def rename_graphs(name: str, new: str) -> None:
    """Have what was kept under a name go by another one."""
    if _FOLDERS and _folder(name).exists():
        _folder(name).rename(_folder(new))


def data_folder(name: str) -> Path | None:
    """Where a comparison is to save inputs and outputs for the page; None if there is to be none."""
    if not _FOLDERS:
        return None
    _folder(name).mkdir(exist_ok=True)
    return _folder(name) / "data"


def kept_distributions(results: Sequence[Any]) -> dict[str, Any]:
    """Distributions of the outputs of what is reported, as far as they were kept."""
    from mnncompat.report.subject import source_of
    from mnncompat.viewing.kept import kept_graphs

    found: dict[str, Any] = {}
    for name in dict.fromkeys(source_of(each) for each in results) if _FOLDERS else ():
        found |= kept_graphs(_folder(name))["distributions"]
    return found


def write_page(file: Path, results: Sequence[Any], notes: Sequence[str] = (), *, is_last: bool = True) -> None:
    """Write the page.

    Args:
        file: Where to.
        results: What is reported.
        notes: What was done, and what was not and why.
        is_last: The graphs that were kept for it are not needed any more.

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
    if is_last:
        note(f"wrote {file}")
        forget_graphs()


def write_model_explorer(folder: Path, results: Sequence[Any]) -> None:
    """Write graphs and numbers of one model for Model Explorer.

    Raises:
        OutputError: A file cannot be written.
    """
    from mnncompat.cli.console import note
    from mnncompat.report.subject import source_of
    from mnncompat.support.rule_files import root
    from mnncompat.viewing.model_data import model_data
    from mnncompat.viewing.model_explorer import write_folder

    name = source_of(results[0])
    files = write_folder(folder, model_data(name, results, _folder(name), root()))
    note(f"wrote {', '.join(map(str, files))}")
    note(f"open them with: model-explorer {files[0]}")
    forget_graphs()


def forget_graphs() -> None:
    """Remove what was kept; harmless when there is nothing."""
    while _FOLDERS:
        _FOLDERS.pop().cleanup()


def _require_graph(name: str) -> None:
    """Keep the graph of a model that was worked on elsewhere: on another machine, or in an earlier run."""
    from mnncompat.errors import ModelError
    from mnncompat.graph.model_file import load
    from mnncompat.viewing.kept import GRAPHS

    if not _FOLDERS or (_folder(name) / GRAPHS).exists() or not name or name == "-":
        return
    with contextlib.suppress(ModelError):
        keep_graphs(name, load(name))


def _folder(name: str) -> Path:
    import hashlib  # not needed to check without a page

    return _FOLDERS[-1].path / hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32]
