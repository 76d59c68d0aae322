"""Normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import FLOATS, Sample


@generator("BatchNormalization", weight=60, precision=Precision.ACCUMULATED)
def batch_normalization(sample: Sample) -> None:
    """In inference: statistics constant; behind images, sequences, volumes and linear layers."""
    dtype = sample.dtype()
    shape = sample.shape(2, 5)
    channels = shape[1]
    inputs = [sample.input(sample.normal(shape, dtype))]
    for stem, low, high in (("scale", 0.5, 1.5), ("bias", -1.0, 1.0), ("mean", -1.0, 1.0), ("var", 0.3, 2.0)):
        inputs.append(sample.parameter(sample.uniform((channels,), low, high, dtype), stem))
    options: dict[str, Any] = {"epsilon": (1e-5, 1e-3, 1e-4), "momentum": (0.9, 0.99)}
    if sample.version >= 14:  # noqa: PLR2004 - training_mode since 14
        options["training_mode"] = (0,)
    sample.emit(*inputs, **sample.attributes(0.25, **options))


@generator("InstanceNormalization", weight=30, precision=Precision.ACCUMULATED)
def instance_normalization(sample: Sample) -> None:
    """Images mostly; scale and bias constant."""
    dtype = sample.dtype()
    shape = sample.shape(3, 5, least=2)
    inputs = [sample.input(sample.normal(shape, dtype))]
    for stem, low, high in (("scale", 0.5, 1.5), ("bias", -1.0, 1.0)):
        inputs.append(sample.parameter(sample.uniform((shape[1],), low, high, dtype), stem))
    sample.emit(*inputs, **sample.attributes(epsilon=(1e-5, 1e-3)))


@generator("LayerNormalization", weight=60, precision=Precision.ACCUMULATED)
def layer_normalization(sample: Sample) -> None:
    """Over the last dimension mostly; bias or none; the statistics are rarely asked for."""
    dtype = sample.dtype()
    shape = sample.shape(2, 4, least=3)
    rank = len(shape)
    axis = sample.weighted({-1: 6.0, rank - 1: 1.0, max(rank - 2, 1): 1.0, -min(2, rank - 1): 1.0})
    normalized = shape[axis:]
    inputs = [sample.input(sample.normal(shape, dtype))]
    inputs.append(sample.parameter(sample.uniform(normalized, 0.5, 1.5, dtype), "scale"))
    if not sample.chance(0.2):
        inputs.append(sample.parameter(sample.normal(normalized, dtype), "bias"))
    outputs = ["y", "mean", "inv_std_dev"] if sample.chance(0.06) else ["y"]
    written = {} if axis == -1 and sample.chance(0.4) else {"axis": axis}
    sample.emit(*inputs, outputs=outputs, **written, **sample.attributes(epsilon=(1e-5, 1e-6, 1e-12), stash_type=(1,)))


@generator("RMSNormalization", weight=6, precision=Precision.ACCUMULATED)
def rms_normalization(sample: Sample) -> None:
    """Over the last dimension."""
    dtype = sample.dtype()
    shape = sample.shape(2, 4, least=3)
    scale = sample.parameter(sample.uniform(shape[-1:], 0.5, 1.5, dtype), "scale")
    sample.emit(sample.input(sample.normal(shape, dtype)), scale, **sample.attributes(axis=(-1,), epsilon=(1e-5, 1e-6)))


@generator("GroupNormalization", weight=10, precision=Precision.ACCUMULATED)
def group_normalization(sample: Sample) -> None:
    """Images; scale and bias a channel."""
    dtype = sample.dtype()
    groups = sample.pick((1, 2, 4))
    shape = (sample.batch(), groups * sample.pick((1, 2, 3)), sample.dim(2, 6), sample.dim(2, 6))
    inputs = [sample.input(sample.normal(shape, dtype))]
    inputs += [sample.constant(sample.uniform((shape[1],), 0.5, 1.5, dtype), stem) for stem in ("scale", "bias")]
    sample.emit(*inputs, num_groups=groups, **sample.attributes(epsilon=(1e-5, 1e-3)))


@generator("LpNormalization", weight=16, precision=Precision.ARITHMETIC)
def lp_normalization(sample: Sample) -> None:
    """Along one axis, p of 1 and 2."""
    shape = sample.shape(1, 4, least=2)
    axis = sample.attributes(axis=(sample.axis(len(shape)), -1))
    sample.emit(sample.input(sample.normal(shape, sample.dtype())), **axis, **sample.attributes(p=(1, 2, 2)))


@generator("LRN", weight=20, precision=Precision.ARITHMETIC)
def local_response(sample: Sample) -> None:
    """AlexNet's and GoogLeNet's, odd windows."""
    shape = sample.shape(4, 4)
    attributes = sample.attributes(0.25, alpha=(1e-4, 0.1, 2e-5), beta=(0.75, 0.5), bias=(1.0, 2.0))
    sample.emit(sample.input(sample.normal(shape, sample.dtype(), 3.0)), size=sample.pick((5, 3, 3, 1)), **attributes)


@generator("MeanVarianceNormalization", weight=10, precision=Precision.ACCUMULATED)
def mean_variance(sample: Sample) -> None:
    """Axes absent (0, 2, 3), as written, and a channel's."""
    shape = sample.shape(4, 4, least=2)
    sample.emit(
        sample.input(sample.normal(shape, sample.dtype())),
        **sample.attributes(0.5, axes=([0, 2, 3], [2, 3], [1, 2, 3])),
    )


@generator("Det", weight=12, precision=Precision.ACCUMULATED)
def determinant(sample: Sample) -> None:
    """Small well-conditioned matrices, one or a batch."""
    size = sample.integer(1, 4)
    batch = sample.weighted({(): 3.0, (sample.dim(2, 5),): 3.0, (2, 3): 1.0})
    values = sample.normal((*batch, size, size)) + 2 * np.eye(size, dtype=np.float32)
    sample.emit(sample.input(values.astype(sample.dtype({name: FLOATS[name] for name in ("float32", "float64")}))))
