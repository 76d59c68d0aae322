"""Lists of maps from labels to scores, as the scores themselves: what a comparison reads of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.graph.zip_maps import drop_maps, maps_scores
from mnncompat.parity.model_copies import parsed

if TYPE_CHECKING:
    from pathlib import Path


def with_scores_for_maps(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model without ZipMap; None if there is none.

    Args:
        model: A file, a serialised model or a model in memory; it is not changed, and external data is not read.
    """
    proto = parsed(model, ("ZipMap",))
    if proto is None or not maps_scores(proto):
        return None
    copy = ModelProto()
    copy.CopyFrom(proto)
    drop_maps(copy)
    return copy
