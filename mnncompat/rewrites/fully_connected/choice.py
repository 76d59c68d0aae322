"""Which heads are rewritten, and in which form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mnncompat.graph.protos import Dim, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Severity
from mnncompat.rewrites.fully_connected.forms import MEAN_POOL
from mnncompat.rewrites.fully_connected.layers import Layer
from mnncompat.rewrites.fully_connected.plan import Region
from mnncompat.support.deployment import LOW
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


LEAST_AVERAGED = 16
"""From this number of positions on, the average that a head reads is made faster by a pool."""


def gains(view: GraphView, region: Region, target: Target) -> bool:
    """True if MNN runs the layers of a region faster as convolutions, by `rules/heads.json`.

    MNN makes a convolution of a layer by itself, between changes of layout that cost little. What it leaves is a
    normalisation behind the layer, an operator of its own: behind a Conv it becomes part of the weights. And it leaves
    a mean over the features' height and width: as a pool it reads them in the layout of convolutions.
    """
    layers = {step.output: step.what for step in region.steps if isinstance(step.what, Layer)}
    if _enters_by_mean(view, region, target):
        return True
    if sum(math.prod(layer.weight.shape) for layer in layers.values()) > MOST_WEIGHTS:
        return False
    return any(
        view.nodes[step.node].op_type == "BatchNormalization" and any(each.name in layers for each in step.operands)
        for step in region.steps
        if not isinstance(step.what, Layer)
    )


def may_gain(view: GraphView) -> bool:
    """False if no head of a graph gains, whatever its regions are."""
    return bool(view.nodes_of("BatchNormalization", "ReduceMean"))


def _enters_by_mean(view: GraphView, region: Region, target: Target) -> bool:
    """True if a layer reads a mean over many positions; in float16 a pool adds them up less exactly than the mean."""
    if target.precision == LOW:
        return False
    nodes = {index for step in region.steps for index in step.nodes}
    return any(
        form.entry.op == MEAN_POOL
        and _positions(view.shape(form.entry.value)) >= LEAST_AVERAGED
        and nodes.issuperset(view.consumers.get(name, ()))
        and not view.is_external_use(name)
        for name, form in region.forms.items()
        if form.entry is not None
    )


def _positions(shape: tuple[Dim, ...] | None) -> int:
    """Height x width of [N, C, H, W]; 0 if they are not known."""
    height, width = (None, None) if shape is None else shape[2:]
    return height * width if isinstance(height, int) and isinstance(width, int) else 0
