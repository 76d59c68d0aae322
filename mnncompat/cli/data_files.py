"""Files of external data in place of models: pre-commit names what has changed, which may be weights alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mnncompat.cli.console import note
from mnncompat.errors import MnncompatError
from mnncompat.files.reachable import is_file

SUFFIXES = (".data", "_data", ".weight", ".weights")
"""Ends of names that exporters give to files of external data."""


def is_data_file(path: Path) -> bool:
    """Whether a file is named as external data are, and is there."""
    return path.name.endswith(SUFFIXES) and is_file(path)


def models_of(paths: Sequence[Path]) -> list[Path]:
    """The same paths, but models in place of the files of their data, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        owners = [path] if not is_data_file(path) else list(_owners(path))
        if not owners:
            note(f"{path}: no model beside it has its weights there; it is left out")
        found.update(dict.fromkeys(owners))
    return list(found)


def _owners(data: Path) -> Iterable[Path]:
    from mnncompat.graph.model_file import load

    wanted = data.resolve()
    for model in sorted(data.parent.glob("*.onnx")):
        try:
            files = load(model).data.values()
        except MnncompatError:
            continue
        if any(each.resolve() == wanted for each in files):
            yield model
