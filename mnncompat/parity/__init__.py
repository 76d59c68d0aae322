"""Parity: run two models on the same feeds and compare their outputs.

verify(model.onnx, model.mnn)          -> ParityReport, ONNX Runtime against MNN
compare_models(original, rewritten)    -> ParityReport, both under ONNX Runtime
compare_recorded(original, rewritten)  -> the same where the rewritten model takes its noise as inputs
compare(expected, actual, tolerance)   -> Comparison of two arrays
real_data(inputs)                      -> RealData, what is given as `inputs`
load_data(folder).judge(tolerance)     -> ParityReport, of outputs that were saved
"""

from mnncompat.parity.input_plan import NamedFeeds
from mnncompat.parity.metrics import compare
from mnncompat.parity.real_data import Given, RealData, read_input, real_data
from mnncompat.parity.rewritten import compare_models, compare_recorded
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.saved_data import SavedData, load_data
from mnncompat.parity.tolerance import FLOAT16, FLOAT32, FP16_WEIGHTS, REWRITE, quantized
from mnncompat.parity.verify import verify
from mnncompat.results.parity_report import Comparison, OutputParity, ParityReport, RunnerFailure, Tolerance

__all__ = [
    "DRAWS",
    "FLOAT16",
    "FLOAT32",
    "FP16_WEIGHTS",
    "REWRITE",
    "Comparison",
    "Given",
    "NamedFeeds",
    "OutputParity",
    "ParityReport",
    "RealData",
    "RunnerFailure",
    "SavedData",
    "Tolerance",
    "compare",
    "compare_models",
    "compare_recorded",
    "load_data",
    "quantized",
    "read_input",
    "real_data",
    "verify",
]
