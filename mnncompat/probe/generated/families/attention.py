"""Attention and rotary embeddings of the newest opsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample


@generator("Attention", weight=10, precision=Precision.APPROXIMATE)
def attention(sample: Sample) -> None:
    """4-D with heads, or 3-D with their number; a mask, causality, grouped queries."""
    batch, heads, length, size = sample.batch(), sample.pick((1, 2, 4)), sample.dim(2, 6), sample.pick((4, 8))
    dtype = sample.dtype()
    attributes: dict[str, Any] = {}
    shape: tuple[int, ...] = (batch, heads, length, size)
    if sample.chance(0.3):
        shape, attributes = (batch, length, heads * size), {"q_num_heads": heads, "kv_num_heads": heads}
    inputs = [sample.input(sample.normal(shape, dtype), stem) for stem in ("q", "k", "v")]
    if sample.chance(0.3):
        inputs.append(sample.input(sample.normal((length, length), dtype), "mask"))
    elif sample.chance(0.4):
        attributes["is_causal"] = 1
    sample.emit(*inputs, **attributes, **sample.attributes(0.7, scale=(0.5,)))


@generator("RotaryEmbedding", weight=5, precision=Precision.ARITHMETIC)
def rotary(sample: Sample) -> None:
    """4-D, caches by position."""
    batch, heads, length, size = sample.batch(), sample.pick((1, 2)), sample.dim(2, 6), sample.pick((4, 8))
    dtype = sample.dtype()
    x = sample.input(sample.normal((batch, heads, length, size), dtype))
    angles = sample.uniform((8, size // 2), 0, 3)
    caches = [sample.initializer(each(angles).astype(dtype), each.__name__) for each in (np.cos, np.sin)]
    positions = sample.input(np.tile(np.arange(length), (batch, 1)), "position_ids")
    sample.emit(x, *caches, positions, **sample.attributes(0.6, interleaved=(0, 1)))
