"""Rewrites of whole models: what no single node is to blame for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mnncompat.rewrites.base import Match, Refusal, Rewrite

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.surgeon import GraphEditor
    from mnncompat.target import Target
    from mnncompat.view import GraphView, ModelView


class Spot(NamedTuple):
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
    def rewrite(self, model: ModelView, spots: Sequence[Spot]) -> ModelProto:
        """A changed copy of a model; the model itself stays as it is.

        Args:
            model: The model, with all its weights.
            spots: What `search` found; at least one.
        """

    def search(self, model: ModelView, target: Target) -> list[Spot]:
        """Where there is something to do: the troubles that this rewrite is the remedy of."""
        return [
            Spot(
                view=trouble.found.view,
                position=trouble.found.position,
                message=f"{self.summary}: {trouble.reason}",
                tensor=str(trouble.found.values.get("tensor", "")),
            )
            for trouble in target.model_troubles(model)
            if trouble.row.remedy == self.name
        ]

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:  # noqa: ARG002
        """Nothing: no single graph is to blame."""
        return ()

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Never called: `find` matches nothing."""
        raise NotImplementedError
