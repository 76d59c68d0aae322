"""What a model takes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.graph.model_file import serialised_bytes
from mnncompat.graph.payloads import is_external
from mnncompat.graph.stored_tensors import tensors

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model


def source_bytes(model: Model) -> int:
    """Size of a model with its external data, in bytes; of one in memory, serialised."""
    if model.path is None:
        return serialised_bytes(model.skeleton)
    return sum(file.stat().st_size for file in (model.path, *_external_files(model)) if file.is_file())


def _external_files(model: Model) -> set[Path]:
    assert model.path is not None  # noqa: S101 - a model in memory has none
    own = [each for each in tensors(model.skeleton) if is_external(each)]
    stored = [[(entry.key, entry.value) for entry in each.external_data] for each in own]
    references = [*stored, *model.external.values()]
    return {model.path.parent / value for each in references for key, value in each if key == "location"}
