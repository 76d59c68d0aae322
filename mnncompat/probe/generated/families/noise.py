"""Random numbers: only what does not depend on the numbers is defined, so each is followed by what takes them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator


@generator("RandomNormal", "RandomUniform", weight=6, precision=Precision.EXACT)
def noise(draw: Draw) -> None:
    """Noise of a fixed shape, added with weight zero."""
    shape = draw.shape(1, 4)
    (made,) = draw.emit(shape=list(shape), **_attributes(draw))
    _take_out(draw, made, draw.input(draw.normal(shape)))


@generator("RandomNormalLike", "RandomUniformLike", weight=8, precision=Precision.EXACT)
def noise_like(draw: Draw) -> None:
    """Noise of another tensor's shape, added with weight zero."""
    x = draw.input(draw.normal(draw.shape(1, 4)))
    (made,) = draw.emit(x, **_attributes(draw))
    _take_out(draw, made, x)


def _attributes(draw: Draw) -> dict[str, Any]:
    return draw.attributes(0.4, mean=(0.0, 1.0), scale=(1.0, 0.5), low=(0.0, -1.0), high=(1.0, 2.0), seed=(1.0,))


def _take_out(draw: Draw, made: str, x: str) -> None:
    (nothing,) = draw.node("Mul", [made, draw.initializer(np.array(0.0, np.float32), "weight")])
    draw.node("Add", [x, nothing])


@generator("Bernoulli", weight=2, precision=Precision.EXACT, oldest=22)
def bernoulli(draw: Draw) -> None:
    """Probabilities of zero and one, whose outcome is certain; ONNX Runtime 1.32 turns it around below opset 22."""
    draw.emit(draw.input(draw.normal(draw.shape(1, 3), "bool").astype(np.float32)))
