"""A corpus of micro-models as exporters write them, sampled with a seed from what the operators allow.

To add an operator, write one function in a module of `families` and register it:

    @generator("Trilu", weight=26, precision=Precision.EXACT)
    def trilu(sample: Sample) -> None:
        x = sample.input(sample.normal(sample.shape(2, 4), sample.dtype(FLOATS)))
        sample.emit(x, **sample.attributes(upper=(0, 1)))

`Sample` knows the opset that was chosen and the operator's version there; `sample.attributes` leaves out what the
version does not have, `sample.dtype` what its types do not admit. The corpus checks the model, infers its shapes,
computes the expected outputs with ONNX Runtime and the reference evaluator, and samples again if they disagree or
fail.
"""

from mnncompat.probe.generated.corpus import Tally, generated_case, generated_cases

__all__ = ["Tally", "generated_case", "generated_cases"]
