"""Signal processing: STFT, DFT, windows, mel filters."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.draw import Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator


@generator("STFT", weight=12, precision=Precision.ACCUMULATED)
def stft(draw: Draw) -> None:
    """Real signals, a Hann window, hops of a quarter and a half."""
    frame = draw.pick((8, 16, 32))
    batch, length = draw.batch(), frame * draw.integer(2, 5)
    signal = draw.normal((batch, length, 1)) if draw.chance(0.8) else draw.normal((batch, length))
    inputs = [draw.input(signal, "signal"), draw.constant(np.array(frame // draw.pick((2, 4))), "frame_step")]
    if draw.chance(0.75):
        inputs.append(draw.constant(np.hanning(frame).astype(np.float32), "window"))
    else:
        inputs.append("")
    if inputs[-1] == "" or draw.chance(0.6):
        inputs.append(draw.constant(np.array(frame), "frame_length"))
    draw.emit(*inputs, **draw.attributes(onesided=(1, 1, 0)))


@generator("DFT", weight=5, precision=Precision.ACCUMULATED)
def dft(draw: Draw) -> None:
    """Real signals, one-sided or not."""
    x = draw.input(draw.normal((draw.batch(), draw.pick((8, 16)), 1)))
    draw.emit(x, **draw.attributes(onesided=(0, 1)), axis=1 if draw.version < 20 else None)  # noqa: PLR2004


@generator("HannWindow", "HammingWindow", "BlackmanWindow", weight=3, precision=Precision.APPROXIMATE)
def window(draw: Draw) -> None:
    """A window times a signal, as feature extractors have it."""
    size = draw.pick((8, 16, 25))
    (made,) = draw.emit(draw.constant(np.array(size), "size"), **draw.attributes(periodic=(0, 1)))
    draw.node("Mul", [draw.input(draw.normal((draw.batch(), size))), made])


@generator("MelWeightMatrix", weight=3, precision=Precision.ARITHMETIC)
def mel(draw: Draw) -> None:
    """Filters times a spectrum."""
    size = draw.pick((16, 32))
    numbers = [np.array(8), np.array(size), np.array(8192), np.array(0.0, np.float32), np.array(4096.0, np.float32)]
    (made,) = draw.emit(*(draw.constant(each, "setting") for each in numbers))
    draw.node("MatMul", [draw.input(np.abs(draw.normal((draw.batch(), size // 2 + 1)))), made])
