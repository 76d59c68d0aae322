"""Findings written into a model as metadata of its nodes, which Netron and other viewers show beside the attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.inference.model_view import view_model

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model
    from mnncompat.results.diagnostics import Diagnostic

PREFIX = "mnncompat."
"""How keys of the metadata begin; the code of the rule follows."""


def annotated(model: Model, findings: Sequence[Diagnostic]) -> Model:
    """A copy of a model whose nodes tell what was found about them; apart from that it is the same.

    Metadata of an earlier run are replaced. A node with several findings of one rule has them under one key.

    Args:
        model: The model; it is not changed.
        findings: About this very model: their locations are its nodes. Those about the model as a whole are metadata
            of the model.
    """
    proto = ModelProto()
    proto.CopyFrom(model.skeleton)
    found = model.changed(proto, again=True)
    found.data, found.weights_loaded = model.data, model.weights_loaded
    told: dict[tuple[tuple[str, ...], int | None], dict[str, list[str]]] = {}
    for each in findings:
        place = (each.location.graph, each.location.index)
        at = told.setdefault(place if each.location.index is not None else ((), None), {})
        at.setdefault(f"{PREFIX}{each.code}", []).append(f"{each.severity.value}: {each.name}: {each.message}")
    _tell(proto, told.get(((), None), {}))
    for view in view_model(found).graphs():
        for index, node in enumerate(view.nodes):
            _tell(node, told.get((view.path, index), {}))
    return found


def _tell(holder: object, lines: dict[str, list[str]]) -> None:
    """Have a node or a model hold these, and nothing of an earlier run."""
    props = holder.metadata_props  # type: ignore[attr-defined]
    kept = [(each.key, each.value) for each in props if not each.key.startswith(PREFIX)]
    if len(kept) == len(props) and not lines:
        return
    del props[:]
    for key, value in [*kept, *((key, "\n".join(texts)) for key, texts in lines.items())]:
        props.add(key=key, value=value)
