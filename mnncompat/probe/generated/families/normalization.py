"""Normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import FLOATS, Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator


@generator("BatchNormalization", weight=60, precision=Precision.ACCUMULATED)
def batch_normalization(draw: Draw) -> None:
    """In inference: statistics constant; behind images, sequences, volumes and linear layers."""
    dtype = draw.dtype()
    shape = draw.shape(2, 5)
    channels = shape[1]
    inputs = [draw.input(draw.normal(shape, dtype))]
    for stem, low, high in (("scale", 0.5, 1.5), ("bias", -1.0, 1.0), ("mean", -1.0, 1.0), ("var", 0.3, 2.0)):
        inputs.append(draw.parameter(draw.uniform((channels,), low, high, dtype), stem))
    options: dict[str, Any] = {"epsilon": (1e-5, 1e-3, 1e-4), "momentum": (0.9, 0.99)}
    if draw.version >= 14:  # noqa: PLR2004 - training_mode since 14
        options["training_mode"] = (0,)
    draw.emit(*inputs, **draw.attributes(0.25, **options))


@generator("InstanceNormalization", weight=30, precision=Precision.ACCUMULATED)
def instance_normalization(draw: Draw) -> None:
    """Images mostly; scale and bias constant."""
    dtype = draw.dtype()
    shape = draw.shape(3, 5, least=2)
    inputs = [draw.input(draw.normal(shape, dtype))]
    for stem, low, high in (("scale", 0.5, 1.5), ("bias", -1.0, 1.0)):
        inputs.append(draw.parameter(draw.uniform((shape[1],), low, high, dtype), stem))
    draw.emit(*inputs, **draw.attributes(epsilon=(1e-5, 1e-3)))


@generator("LayerNormalization", weight=60, precision=Precision.ACCUMULATED)
def layer_normalization(draw: Draw) -> None:
    """Over the last dimension mostly; bias or none; the statistics are rarely asked for."""
    dtype = draw.dtype()
    shape = draw.shape(2, 4, least=3)
    rank = len(shape)
    axis = draw.weighted({-1: 6.0, rank - 1: 1.0, max(rank - 2, 1): 1.0, -min(2, rank - 1): 1.0})
    normalized = shape[axis:]
    inputs = [draw.input(draw.normal(shape, dtype))]
    inputs.append(draw.parameter(draw.uniform(normalized, 0.5, 1.5, dtype), "scale"))
    if not draw.chance(0.2):
        inputs.append(draw.parameter(draw.normal(normalized, dtype), "bias"))
    outputs = ["y", "mean", "inv_std_dev"] if draw.chance(0.06) else ["y"]
    written = {} if axis == -1 and draw.chance(0.4) else {"axis": axis}
    draw.emit(*inputs, outputs=outputs, **written, **draw.attributes(epsilon=(1e-5, 1e-6, 1e-12), stash_type=(1,)))


@generator("RMSNormalization", weight=6, precision=Precision.ACCUMULATED)
def rms_normalization(draw: Draw) -> None:
    """Over the last dimension."""
    dtype = draw.dtype()
    shape = draw.shape(2, 4, least=3)
    scale = draw.parameter(draw.uniform(shape[-1:], 0.5, 1.5, dtype), "scale")
    draw.emit(draw.input(draw.normal(shape, dtype)), scale, **draw.attributes(axis=(-1,), epsilon=(1e-5, 1e-6)))


@generator("GroupNormalization", weight=10, precision=Precision.ACCUMULATED)
def group_normalization(draw: Draw) -> None:
    """Images; scale and bias a channel."""
    dtype = draw.dtype()
    groups = draw.pick((1, 2, 4))
    shape = (draw.batch(), groups * draw.pick((1, 2, 3)), draw.dim(2, 6), draw.dim(2, 6))
    inputs = [draw.input(draw.normal(shape, dtype))]
    inputs += [draw.constant(draw.uniform((shape[1],), 0.5, 1.5, dtype), stem) for stem in ("scale", "bias")]
    draw.emit(*inputs, num_groups=groups, **draw.attributes(epsilon=(1e-5, 1e-3)))


@generator("LpNormalization", weight=16, precision=Precision.ARITHMETIC)
def lp_normalization(draw: Draw) -> None:
    """Along one axis, p of 1 and 2."""
    shape = draw.shape(1, 4, least=2)
    axis = draw.attributes(axis=(draw.axis(len(shape)), -1))
    draw.emit(draw.input(draw.normal(shape, draw.dtype())), **axis, **draw.attributes(p=(1, 2, 2)))


@generator("LRN", weight=20, precision=Precision.ARITHMETIC)
def local_response(draw: Draw) -> None:
    """AlexNet's and GoogLeNet's, odd windows."""
    shape = draw.shape(4, 4)
    attributes = draw.attributes(0.25, alpha=(1e-4, 0.1, 2e-5), beta=(0.75, 0.5), bias=(1.0, 2.0))
    draw.emit(draw.input(draw.normal(shape, draw.dtype(), 3.0)), size=draw.pick((5, 3, 3, 1)), **attributes)


@generator("MeanVarianceNormalization", weight=10, precision=Precision.ACCUMULATED)
def mean_variance(draw: Draw) -> None:
    """Axes absent (0, 2, 3), as written, and a channel's."""
    shape = draw.shape(4, 4, least=2)
    draw.emit(draw.input(draw.normal(shape, draw.dtype())), **draw.attributes(0.5, axes=([0, 2, 3], [2, 3], [1, 2, 3])))


@generator("Det", weight=12, precision=Precision.ACCUMULATED)
def determinant(draw: Draw) -> None:
    """Small well-conditioned matrices, one or a batch."""
    size = draw.integer(1, 4)
    batch = draw.weighted({(): 3.0, (draw.dim(2, 5),): 3.0, (2, 3): 1.0})
    values = draw.normal((*batch, size, size)) + 2 * np.eye(size, dtype=np.float32)
    draw.emit(draw.input(values.astype(draw.dtype({name: FLOATS[name] for name in ("float32", "float64")}))))
