"""Which heads are rewritten, and in which form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Severity
from mnncompat.rewrites.fully_connected.layers import Layer
from mnncompat.rewrites.fully_connected.plan import Region
from mnncompat.support.head_form import HeadForm

if TYPE_CHECKING:
    from mnncompat.support.target import Target


def form_of(target: Target) -> HeadForm:
    """The form that was asked for; else the one that the release runs, and runs fastest."""
    if target.head is not None:
        return target.head
    return HeadForm.FLAT if target.declares("MatMul") else HeadForm.SPATIAL


def is_needed(view: GraphView, nodes: Iterable[int], target: Target) -> bool:
    """True if layers must not stay as they are: a form was asked for, or MNN does not compute one of them."""
    if target.head is not None or not target.declares("MatMul"):
        return True
    return any(
        match.row.severity is Severity.ERROR
        for index in nodes
        if is_onnx(view.nodes[index])
        for match in target.hazards(view, index)
    )


MOST_WEIGHTS = 2_000_000
"""Above this number of weights a head takes so long that a normalisation no longer counts."""


def gains(view: GraphView, region: Region) -> bool:
    """True if MNN runs the layers of a region faster as convolutions, by `rules/heads.json`.

    MNN makes a convolution of a layer by itself, between changes of layout that cost little. What it leaves is a
    normalisation behind the layer, an operator of its own: behind a Conv it becomes part of the weights.
    """
    layers = {step.output: step.what for step in region.steps if isinstance(step.what, Layer)}
    if sum(math.prod(layer.weight.shape) for layer in layers.values()) > MOST_WEIGHTS:
        return False
    return any(
        view.nodes[step.node].op_type == "BatchNormalization" and any(each.name in layers for each in step.operands)
        for step in region.steps
        if not isinstance(step.what, Layer)
    )
