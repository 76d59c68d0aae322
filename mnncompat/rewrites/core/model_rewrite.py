"""Rewrites of whole models, for hazards that are not properties of single nodes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import onnx

from mnncompat.rewrites.core.base import Match, Refusal, Rewrite

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.graph.editor import GraphEditor
    from mnncompat.graph.view import GraphView, ModelView
    from mnncompat.support.target import Target


class RewriteLocation(NamedTuple):
    """A location in a model that a rewrite of the whole model changes.

    Attributes:
        view: The graph.
        position: The node, None for the graph as a whole.
        message: How it is rewritten, in one line.
        tensor: The stored tensor to change, if there is one.
    """

    view: GraphView
    position: int | None
    message: str
    tensor: str = ""


class ModelRewrite(Rewrite):
    """Changes a model where a row of `rules/graph.toml` names the rewrite as its remedy."""

    op_types = ()
    is_remedy = True
    is_whole = True

    @abstractmethod
    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:
        """A rewritten copy of a model; the model itself is not changed.

        Args:
            model: The model, with all its weights.
            locations: What `search` found; at least one.
        """

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:
        """The locations of the hazards that this rewrite is the remedy for."""
        return [
            RewriteLocation(
                view=hazard.found.view,
                position=hazard.found.position,
                message=f"{self.summary}: {hazard.reason}",
                tensor=str(hazard.found.values.get("tensor", "")),
            )
            for hazard in target.model_hazards(model)
            if hazard.row.remedy == self.name
        ]

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:  # noqa: ARG002
        """Nothing: `search` finds the hazards of the whole model instead."""
        return ()

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Never called: `find` matches nothing."""
        raise NotImplementedError


class SettledWhenRead(ModelRewrite):
    """Writes a model as `mnncompat.graph.model_file` read it, which removed the hazard: nothing else is left to do."""

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:  # noqa: ARG002
        """A copy of the model."""
        result = onnx.ModelProto()
        result.CopyFrom(model.proto)
        return result
