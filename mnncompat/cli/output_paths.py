"""Where the results of models go, and whether one is newer than what it is made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnncompat.errors import MnncompatError, OutputError, UsageError
from mnncompat.files.reachable import is_file, is_folder

_MODELS = (".onnx", ".mnn")


def output_paths(models: Sequence[Path], output: Path | None, suffix: str) -> list[Path]:
    """Where the result of each model goes.

    Args:
        models: The models.
        output: A file for one model; a folder, which exists, for one or for several. None: files beside the models.
        suffix: Of the results.

    Raises:
        UsageError: Several models would have the same file.
        OutputError: There are several models, and `output` is no folder.
    """
    if output is None:
        return [path.with_suffix(suffix) for path in models]
    if is_folder(output):
        found = [output / f"{path.stem}{suffix}" for path in models]
        if len(set(found)) < len(found):
            twice = next(path for path in found if found.count(path) > 1)
            raise UsageError(f"{twice} would be the result of several models", hint="give them other names or folders")
        return found
    if len(models) > 1:
        raise OutputError(
            f"{output}: is no folder, and there are {len(models)} models", hint=f"mkdir {output}, or leave -o out"
        )
    return [output]


def require_report(path: Path, option: str) -> None:
    """Check early that a report, a page, a picture or code can be written to a file.

    Args:
        path: The file.
        option: That names it.

    Raises:
        UsageError: It is named like a model, or the command reads it.
        OutputError: It cannot be written.
    """
    from mnncompat.graph.atomic_files import require_writable

    if path.suffix.lower() in _MODELS:
        hint = "name a file as report.html, report.txt or report.json"
        raise UsageError(f"{option} {path} names a model, and would overwrite it", hint=hint)
    require_writable(path)


def is_up_to_date(model: Path, output: Path) -> bool:
    """Whether a result is newer than its model, the files of its weights, and the configuration."""
    if not is_file(output):
        return False
    from mnncompat.cli.config import nearest_table
    from mnncompat.graph.model_file import load

    try:
        sources = [model, *load(model).data.values()]
    except MnncompatError:
        return False
    file, _ = nearest_table()
    made = output.stat().st_mtime_ns
    return all(each.stat().st_mtime_ns < made for each in (*sources, *([file] if file else [])) if is_file(each))
