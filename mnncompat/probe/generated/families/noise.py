"""Random numbers: only what does not depend on the numbers is defined, so each is followed by what takes them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample


@generator("RandomNormal", "RandomUniform", weight=6, precision=Precision.EXACT)
def noise(sample: Sample) -> None:
    """Noise of a fixed shape, added with weight zero."""
    shape = sample.shape(1, 4)
    (made,) = sample.emit(shape=list(shape), **_attributes(sample))
    _take_out(sample, made, sample.input(sample.normal(shape)))


@generator("RandomNormalLike", "RandomUniformLike", weight=8, precision=Precision.EXACT)
def noise_like(sample: Sample) -> None:
    """Noise of another tensor's shape, added with weight zero."""
    x = sample.input(sample.normal(sample.shape(1, 4)))
    (made,) = sample.emit(x, **_attributes(sample))
    _take_out(sample, made, x)


def _attributes(sample: Sample) -> dict[str, Any]:
    return sample.attributes(0.4, mean=(0.0, 1.0), scale=(1.0, 0.5), low=(0.0, -1.0), high=(1.0, 2.0), seed=(1.0,))


def _take_out(sample: Sample, made: str, x: str) -> None:
    (nothing,) = sample.node("Mul", [made, sample.initializer(np.array(0.0, np.float32), "weight")])
    sample.node("Add", [x, nothing])


@generator("Bernoulli", weight=2, precision=Precision.EXACT, oldest=22)
def bernoulli(sample: Sample) -> None:
    """Probabilities of zero and one, whose outcome is certain; ONNX Runtime 1.32 turns it around below opset 22."""
    sample.emit(sample.input(sample.normal(sample.shape(1, 3), "bool").astype(np.float32)))
