"""Losses: left in a graph when a model is exported in training mode."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator


@generator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", weight=20, precision=Precision.APPROXIMATE)
def loss(draw: Draw) -> None:
    """Classes or maps of classes; weights or none; each reduction; an ignored index now and then."""
    classes = draw.dim(2, 8)
    maps: dict[tuple[int, ...], float] = {(): 6.0, (draw.dim(1, 4),): 1.0, (2, draw.dim(1, 3)): 2.0}
    positions = (draw.dim(1, 5), *draw.weighted(maps))
    scores = draw.normal((positions[0], classes, *positions[1:]))
    if draw.op == "NegativeLogLikelihoodLoss":
        scores = np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    target = draw.uniform(positions, 0, classes - 1, "int64" if draw.chance(0.8) else "int32")
    inputs = [draw.input(scores.astype(np.float32), "scores"), draw.operand(target, "labels", constant=0.1)]
    if draw.chance(0.25):
        inputs.append(draw.constant(draw.uniform((classes,), 0.5, 1.5), "weights"))
    attributes = draw.attributes(reduction=("none", "mean", "sum")) | draw.attributes(0.8, ignore_index=(-100, 0))
    outputs = ["loss"]
    if draw.op == "SoftmaxCrossEntropyLoss" and draw.chance(0.2):
        outputs.append("log_prob")
    draw.emit(*inputs, outputs=outputs, **attributes)
