"""A corpus of micro-models as exporters write them, drawn with a seed from what the operators admit.

To add an operator, write one function in a module of `families` and register it:

    @generator("Trilu", weight=26, precision=Precision.EXACT)
    def trilu(draw: Draw) -> None:
        x = draw.input(draw.normal(draw.shape(2, 4), draw.dtype(FLOATS)))
        draw.emit(x, **draw.attributes(upper=(0, 1)))

`Draw` knows the opset that was chosen and the operator's version there; `draw.attributes` leaves out what the version
does not have, `draw.dtype` what its types do not admit. The corpus checks the model, infers its shapes, computes the
expected outputs with ONNX Runtime and the reference evaluator, and draws again where they disagree or cannot.
"""

from mnncompat.probe.generated.corpus import Tally, generated_case, generated_cases

__all__ = ["Tally", "generated_case", "generated_cases"]
