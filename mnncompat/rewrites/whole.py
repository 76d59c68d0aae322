"""Rewrites of whole models: what no single node is to blame for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mnncompat.rewrites.base import Match, Refusal, Rewrite

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.surgeon import GraphEditor
    from mnncompat.target import Target, Trouble
    from mnncompat.view import GraphView, ModelView


class ModelRewrite(Rewrite):
    """Changes a model where a row of `rules/graph.toml` names the rewrite as its remedy."""

    op_types = ()
    is_remedy = True

    @abstractmethod
    def rewrite(self, proto: ModelProto, troubles: Sequence[Trouble]) -> ModelProto:
        """A changed copy of a model; the model itself stays as it is.

        Args:
            proto: The model, with all its weights.
            troubles: What the table says about it, as far as it names this rewrite.
        """

    def search(self, model: ModelView, target: Target) -> list[Trouble]:
        """The troubles that this rewrite is the remedy of."""
        return [trouble for trouble in target.model_troubles(model) if trouble.row.remedy == self.name]

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:  # noqa: ARG002
        """Nothing: no single graph is to blame."""
        return ()

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Never called: `find` matches nothing."""
        raise NotImplementedError
