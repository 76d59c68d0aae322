"""The rules of what is predicted of half precision."""

from __future__ import annotations

from mnncompat.results.diagnostics import RuleInfo, Severity

PREDICTED = RuleInfo(
    code="MNN007",
    name="half-precision-loss",
    summary="with precision low an output is predicted to overflow, or to fall below 40 dB",
    severity=Severity.WARNING,
    explanation="""\
`mnncompat check --precision low --input NAME=FILE` (or `--feeds`, or `--draws N`) runs the model once for each draw
under ONNX Runtime, and beside every value computes what MNN makes of it on processors with float16: values are rounded
to float16 where MNN stores them, and become infinite or 65504 beyond it; products are added up in float16; 3x3 and 5x5
convolutions that MNN computes by Winograd go through its transforms. Which operator does what is in
`rules/half_precision.json`. What lies inside an op that the converter fuses is not rounded.

The finding names the node at which most is lost, with the values there, and says what is predicted of the output. It is
a prediction: `mnncompat verify --device arm64 --precision low` runs the file on such a processor.
""",
    evidence=("rules/half_precision.json",),
)

UNPREDICTED = RuleInfo(
    code="MNN008",
    name="half-precision-not-predicted",
    summary="what precision low does could not be simulated",
    severity=Severity.INFO,
    explanation="""\
ONNX Runtime does not run the model together with its simulation in half precision: it has a kernel for an operator in
another type only, or sizes depend on values that differ. `mnncompat verify --device arm64 --precision low` runs the
converted file on a processor with float16 instead.
""",
)

HALF_PRECISION_RULES = (PREDICTED, UNPREDICTED)
