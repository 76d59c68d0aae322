"""A view of a model that knows shapes: `ModelView` with the shape inference of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.model_file import Model
from mnncompat.graph.view import ModelView

if TYPE_CHECKING:
    from onnx import ModelProto


def view_model(model: Model) -> ModelView:
    """View all graphs of a model; shapes are inferred when one is first asked for."""
    return ModelView(model, _infer)


def _infer(proto: ModelProto, kinds: set[tuple[str, str]] | None) -> ModelProto | None:
    from mnncompat.inference.shape_inference import infer

    return infer(proto, kinds)
