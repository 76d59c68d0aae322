"""Attention and rotary embeddings of the newest opsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator


@generator("Attention", weight=10, precision=Precision.APPROXIMATE)
def attention(draw: Draw) -> None:
    """4-D with heads, or 3-D with their number; a mask, causality, grouped queries."""
    batch, heads, length, size = draw.batch(), draw.pick((1, 2, 4)), draw.dim(2, 6), draw.pick((4, 8))
    dtype = draw.dtype()
    attributes: dict[str, Any] = {}
    shape: tuple[int, ...] = (batch, heads, length, size)
    if draw.chance(0.3):
        shape, attributes = (batch, length, heads * size), {"q_num_heads": heads, "kv_num_heads": heads}
    inputs = [draw.input(draw.normal(shape, dtype), stem) for stem in ("q", "k", "v")]
    if draw.chance(0.3):
        inputs.append(draw.input(draw.normal((length, length), dtype), "mask"))
    elif draw.chance(0.4):
        attributes["is_causal"] = 1
    draw.emit(*inputs, **attributes, **draw.attributes(0.7, scale=(0.5,)))


@generator("RotaryEmbedding", weight=5, precision=Precision.ARITHMETIC)
def rotary(draw: Draw) -> None:
    """4-D, caches by position."""
    batch, heads, length, size = draw.batch(), draw.pick((1, 2)), draw.dim(2, 6), draw.pick((4, 8))
    dtype = draw.dtype()
    x = draw.input(draw.normal((batch, heads, length, size), dtype))
    angles = draw.uniform((8, size // 2), 0, 3)
    caches = [draw.initializer(each(angles).astype(dtype), each.__name__) for each in (np.cos, np.sin)]
    positions = draw.input(np.tile(np.arange(length), (batch, 1)), "position_ids")
    draw.emit(x, *caches, positions, **draw.attributes(0.6, interleaved=(0, 1)))
