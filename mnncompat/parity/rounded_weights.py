"""Weights that were rounded when a file was converted: the file says so, and its outputs are judged accordingly.

Whoever verifies a file need not know how it was made. Where its outputs differ by more than float32 does, and its
weights are stored with fewer bits, they are judged by the signal-to-noise ratio that `convert` asks of such a file.
`convert` proves the conversion with full weights beforehand; here that is left to the reader, who is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mnncompat import mnn
from mnncompat.errors import ModelError
from mnncompat.parity.tolerance import FP16_WEIGHTS, quantized

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.results.parity_report import Tolerance

_HALF, _UNKNOWN = 16, 8


class Rounded(NamedTuple):
    """How the weights of a file are rounded.

    Attributes:
        tolerance: What is asked of its outputs.
        words: What a reader should know.
    """

    tolerance: Tolerance
    words: str


def rounded_weights(file: Path) -> Rounded | None:
    """Read from a file how its weights are rounded; None if they are not, or it cannot be read.

    Args:
        file: The `.mnn` file.
    """
    try:
        ops = [op for op in mnn.read_graph(file).ops if op.weights is not mnn.Weights.NONE]
    except ModelError:
        return None  # running it says what is wrong
    rounded = [op.bits or _UNKNOWN for op in ops if op.weights is mnn.Weights.ENCODED]
    if not rounded:
        return None
    bits = min(rounded)
    tolerance = FP16_WEIGHTS if bits == _HALF else quantized(bits)
    to = "float16" if bits == _HALF else f"{bits} bits"
    ops_of_these = "1 op" if len(rounded) == 1 else f"{len(rounded)} ops"
    return Rounded(
        tolerance,
        f"the file holds weights that were rounded to {to} ({ops_of_these}): without --tolerance it is judged by its "
        f"signal-to-noise ratio, at least {tolerance.snr_db:g} dB; full weights show what is wrong by less",
    )
