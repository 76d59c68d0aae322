"""Signal processing: STFT, DFT, windows, mel filters."""

from __future__ import annotations

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample


@generator("STFT", weight=12, precision=Precision.ACCUMULATED)
def stft(sample: Sample) -> None:
    """Real signals, a Hann window, hops of a quarter and a half."""
    frame = sample.pick((8, 16, 32))
    batch, length = sample.batch(), frame * sample.integer(2, 5)
    signal = sample.normal((batch, length, 1)) if sample.chance(0.8) else sample.normal((batch, length))
    inputs = [sample.input(signal, "signal"), sample.constant(np.array(frame // sample.pick((2, 4))), "frame_step")]
    if sample.chance(0.75):
        inputs.append(sample.constant(np.hanning(frame).astype(np.float32), "window"))
    else:
        inputs.append("")
    if inputs[-1] == "" or sample.chance(0.6):
        inputs.append(sample.constant(np.array(frame), "frame_length"))
    sample.emit(*inputs, **sample.attributes(onesided=(1, 1, 0)))


@generator("DFT", weight=5, precision=Precision.ACCUMULATED)
def dft(sample: Sample) -> None:
    """Real signals, one-sided or not."""
    x = sample.input(sample.normal((sample.batch(), sample.pick((8, 16)), 1)))
    sample.emit(x, **sample.attributes(onesided=(0, 1)), axis=1 if sample.version < 20 else None)  # noqa: PLR2004


@generator("HannWindow", "HammingWindow", "BlackmanWindow", weight=3, precision=Precision.APPROXIMATE)
def window(sample: Sample) -> None:
    """A window times a signal, as feature extractors have it."""
    size = sample.pick((8, 16, 25))
    (made,) = sample.emit(sample.constant(np.array(size), "size"), **sample.attributes(periodic=(0, 1)))
    sample.node("Mul", [sample.input(sample.normal((sample.batch(), size))), made])


@generator("MelWeightMatrix", weight=3, precision=Precision.ARITHMETIC)
def mel(sample: Sample) -> None:
    """Filters times a spectrum."""
    size = sample.pick((16, 32))
    numbers = [np.array(8), np.array(size), np.array(8192), np.array(0.0, np.float32), np.array(4096.0, np.float32)]
    (made,) = sample.emit(*(sample.constant(each, "setting") for each in numbers))
    sample.node("MatMul", [sample.input(np.abs(sample.normal((sample.batch(), size // 2 + 1)))), made])
