"""Rewrites of whole models: what no single node is to blame for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.rewrites.core.base import Match, Refusal, Rewrite

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.graph.editor import GraphEditor
    from mnncompat.graph.view import GraphView, ModelView
    from mnncompat.support.target import Target


class RewriteLocation(NamedTuple):
    """A place that a rewrite of the whole model is about.

    Attributes:
        view: The graph.
        position: The node, None for the graph as a whole.
        message: What becomes of it, in one line.
        tensor: The stored tensor it is about, if it is about one.
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
        """A changed copy of a model; the model itself stays as it is.

        Args:
            model: The model, with all its weights.
            locations: What `search` found; at least one.
        """

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:
        """Where there is something to do: the hazards that this rewrite is the remedy of."""
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
        """Nothing: no single graph is to blame."""
        return ()

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Never called: `find` matches nothing."""
        raise NotImplementedError
