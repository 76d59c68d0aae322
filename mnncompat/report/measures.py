"""Measurements of a comparison as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnncompat.results.parity_report import Comparison

_NOTHING = "-"


def measures(comparison: Comparison) -> str:
    """`max abs 1.2e-07, max rel 3.4e-06, cosine 1.0000000, SNR 126.3 dB, top-1 100%`, without what was not measured."""
    if comparison.compared == 0:
        return "nothing was compared"
    named = {
        "max abs": distance(comparison.max_abs),
        "max rel": distance(comparison.max_rel),
        "cosine": cosine(comparison.cosine),
        "SNR": decibel(comparison.snr_db),
        "top-1": share(comparison.top1),
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value != _NOTHING)


def distance(value: float) -> str:
    """A difference: `0`, `1.2e-07`, `inf`; `-` for NaN, which means not measured."""
    if math.isnan(value):
        return _NOTHING
    return "0" if value == 0 else f"{value:.1e}"


def cosine(value: float) -> str:
    """A cosine with seven digits, the precision of float32."""
    return _NOTHING if math.isnan(value) else f"{value:.7f}"


def decibel(value: float) -> str:
    """A signal-to-noise ratio; `exact` if there is no noise."""
    if math.isnan(value):
        return _NOTHING
    return "exact" if value == math.inf else "-inf dB" if value == -math.inf else f"{value:.1f} dB"


def share(value: float | None) -> str:
    """A share in percent, never rounded up to 100%."""
    if value is None or math.isnan(value):
        return _NOTHING
    return f"{math.floor(value * 1e4) / 1e2:g}%"


def shape(dims: Sequence[int] | None) -> str:
    """`[1, 10]`, `-` for a missing output."""
    return _NOTHING if dims is None else f"[{', '.join(str(dim) for dim in dims)}]"


def size(count: int) -> str:
    """A number of bytes for people: `812 bytes`, `1.7 MB` (powers of 1000)."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:  # noqa: PLR2004 - SI prefixes
            return counted(count, "byte") if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def counted(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
