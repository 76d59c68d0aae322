"""Losses: left in a graph when a model is exported in training mode."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample


@generator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", weight=20, precision=Precision.APPROXIMATE)
def loss(sample: Sample) -> None:
    """Classes or maps of classes; weights or none; each reduction; an ignored index now and then."""
    classes = sample.dim(2, 8)
    maps: dict[tuple[int, ...], float] = {(): 6.0, (sample.dim(1, 4),): 1.0, (2, sample.dim(1, 3)): 2.0}
    positions = (sample.dim(1, 5), *sample.weighted(maps))
    scores = sample.normal((positions[0], classes, *positions[1:]))
    if sample.op == "NegativeLogLikelihoodLoss":
        scores = np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    target = sample.uniform(positions, 0, classes - 1, "int64" if sample.chance(0.8) else "int32")
    inputs = [sample.input(scores.astype(np.float32), "scores"), sample.operand(target, "labels", constant=0.1)]
    if sample.chance(0.25):
        inputs.append(sample.constant(sample.uniform((classes,), 0.5, 1.5), "weights"))
    attributes = sample.attributes(reduction=("none", "mean", "sum")) | sample.attributes(0.8, ignore_index=(-100, 0))
    outputs = ["loss"]
    if sample.op == "SoftmaxCrossEntropyLoss" and sample.chance(0.2):
        outputs.append("log_prob")
    sample.emit(*inputs, outputs=outputs, **attributes)
