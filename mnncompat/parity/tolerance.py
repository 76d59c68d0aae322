"""How far two outputs may be apart.

The criterion, per element of a floating-point output:

    |actual - expected| <= atol + rtol * (|expected| + max(s, FLOOR * g))

`g` is the RMS of the whole expected output. `s` is the smallest, over the axes, of the RMS of the slice of `expected`
at this element's index along that axis; axes whose slices hold fewer than `SLICE` elements do not count, and when none
does, `s = g`.

The reasons:

- Rounding errors of a sum do not shrink with its result: an element that cancels to nearly nothing carries the error
  of its neighbours. Hence `+ s`, a scale taken from elements that were computed in the same way.
- One scale for everything would be the largest: a detector's output [1, 84, 8400] holds boxes up to 640 beside scores
  in [0, 1], and 1e-3 of `g` is coarser than most scores. Slices along axis 1 separate them; the smallest of the slices
  wins, whichever axis it is that separates.
- A slice of few elements is no scale: in logits [1, 1000] each slice along axis 1 is the element itself, and the
  criterion would become purely relative, which a logit near zero fails in every correct conversion.
- A slice may be dead (a channel that ReLU sets to zero, up to rounding): `FLOOR * g` keeps its tolerance above zero.
- Rounding has a long tail: where a deep net is steep (a sigmoid behind 62 convolutions), a handful of elements are off
  by many times the tolerance while the signal-to-noise ratio is 65 dB and more. `mnncompat.parity.outliers` excuses
  them if they are few and scattered and if Monte Carlo arithmetic moves the original there as well. Where that cannot
  be run, a share of `outliers` may exceed the tolerance, by `OUTLIER` times at most.
"""

from __future__ import annotations

from mnncompat.results.parity_report import Tolerance

FLOOR = 1e-3
"""Share of the whole output's RMS below which no slice's scale counts."""
SLICE = 16
"""Number of elements from which on the RMS of a slice is used as a scale."""
OUTLIER = 20.0
"""How many times the allowance an outlier may reach."""


FLOAT32 = Tolerance(rtol=1e-3, atol=1e-6, outliers=0.005, scaled=True)
"""MNN's float32 against ONNX Runtime's. Measured (MNN 3.6.1, x86-64, largest ratio of difference to allowance): MNIST
convolution net 0.04, PP-OCRv4 recognition 0.07, its orientation classifier 0.01, Silero VAD 0.03, PP-OCRv4 detection
0.12 on ordinary draws; on inputs of up to 255 up to 30 times in 0.7 % of the elements, and PP-OCRv5 detection up to 50
times in 1.7 % (20 seeds and two sizes each): outliers. Most of it is Winograd's convolution. A wrong factor of 1.01
comes out at 5 or more. The absolute part of each default follows small outputs, see `mnncompat.parity.output_scale`."""

FLOAT16 = Tolerance(rtol=5e-3, atol=1e-5, outliers=0.005, scaled=True)
"""Outputs of float16 models: here the reference rounds every tensor to 11 bits (5e-4) and MNN computes in float32.
Measured: 0.2 at most, MNIST and PP-OCRv4 in float16."""

REWRITE = Tolerance(rtol=2e-4, atol=5e-7, outliers=0.005, scaled=True)
"""A rewritten ONNX model against the original, both float32 under ONNX Runtime: only the order of additions may change.
Measured: Gemm of 800 and 25088 terms against the convolution that replaces it 0.02, PP-OCRv4 detection with ONNX
Runtime's own fusions on against off 0.7. A wrong factor of 1.001 comes out at 3 to 4, a channel shifted by one at
thousands. `atol` is four units in the last place of 1, the rounding of a saturated sigmoid."""

FP16_WEIGHTS = Tolerance(rtol=0, atol=1e-5, snr_db=20.0, scaled=True)
"""Files converted with float16 weights. Each weight is off by up to 5e-4, which has no bound per element once layers
saturate: a ratio over the whole output is what remains. Measured on random feeds: MNIST 56 dB, PP-OCRv4 classifier 41,
recognition 22 to 32, detection 23, Silero VAD 27 and more. 20 dB is a tenth of the amplitude. It proves less than
`FLOAT32` does: prove the float32 conversion of the same model by that."""

HALF_PRECISION = Tolerance(rtol=0, atol=1e-3, snr_db=30.0, unequal=0.1, scaled=True)
"""Files run in float16 (`precision = low` on processors that have it), against float32: 3 % of the amplitude. Argued in
`docs/decisions/half-precision-criterion.md`. The absolute part is one unit in the last place of 1; a tenth of the
indices of an output may differ, as scores that are nearly equal change places."""

_QUANTIZED_DB, _DB_PER_BIT, _FULL_BITS = 20.0, 2.5, 8


def quantized(bits: int) -> Tolerance:
    """The tolerance of a file whose weights were quantised.

    20 dB at 8 bits, 2.5 dB less for each bit fewer (10 dB at 4, 5 dB at 2). A single layer has about 6 dB per bit
    (measured, MNIST: 50 dB at 8 bits, 24 at 4). Deep nets on random feeds keep far less (PP-OCRv4 classifier: 21 to 41
    dB at 8 bits, 12 to 21 at 4), and the output of some is lost (PP-OCRv4 detection: 0 dB at 8 bits).
    Below 10 dB the noise has more than a tenth of the signal's energy. Judge with real data where it matters.

    Args:
        bits: Bits per weight, 2 to 8.

    Returns:
        A criterion on the signal-to-noise ratio.
    """
    return Tolerance(rtol=0, atol=1e-5, snr_db=_QUANTIZED_DB - _DB_PER_BIT * (_FULL_BITS - bits), scaled=True)
