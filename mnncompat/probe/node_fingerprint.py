"""Fingerprints of nodes: what MNN does with one node, it does with all that have the same fingerprint.

What MNN does with a node depends on its operator, attributes, dtypes, shapes, and on which operands are constants. All
of these are in the fingerprint, and so is every value that is not a floating-point number. For the operators of
`_SMOOTH`, floating-point values are summarised: a convolution is not right with one set of trained weights and wrong
with another. The summary of operands and results has the signs and special values that occur, the power of ten of the
largest value unless it is an ordinary one, whether all are whole, and whether all are equal and to what. An overflow or
an integer stored as float thus makes a difference. Constants of up to `_FEW` elements are parameters (bounds,
exponents, slopes) and are taken exactly, unless they are a factor or a summand.

Values of every other operator are taken exactly, because a single one may matter (Round on halves, TopK on equals).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from mnncompat.graph.operator_traits import ARITHMETIC, MOVES, RESIZES

_FEW = 16
_ROUND_DIGITS, _SAME = 3, 1e-6
_ORDINARY, _LINEAR = range(-2, 1), range(-6, 3)
_SPECIAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {"nan": np.isnan, "inf": np.isposinf, "-inf": np.isneginf}
_WEIGHTED = frozenset({"BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul"})
_NORMALIZING = frozenset({"InstanceNormalization", "LayerNormalization", "LogSoftmax", "Softmax"})
_ELEMENTWISE = frozenset(
    {"Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Pow", "Relu", "Selu"}
    | {"Sigmoid", "Sqrt", "Tanh"}
)
_ARRANGING = MOVES | {"Concat", "Pad", *RESIZES}
_REDUCING = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean", "ReduceSum"})
_SMOOTH = ARITHMETIC | _WEIGHTED | _NORMALIZING | _ELEMENTWISE | _ARRANGING | _REDUCING

_Arrays = Mapping[str, np.ndarray]


def node_fingerprint(node: bytes, op: str, *, stored: _Arrays, fed: _Arrays, written: _Arrays) -> str:
    """The fingerprint of a node.

    Args:
        node: The node and whatever else is around it in its micro-model, without the values of constants.
        op: Its qualified op type.
        stored: Its constants: name in the micro-model -> array.
        fed: What else it reads.
        written: What it writes.
    """
    key = hashlib.sha256(node)
    for word in _words(op, stored, fed, written):
        key.update(word.encode() + b"\n")
    return key.hexdigest()


def _words(op: str, stored: _Arrays, fed: _Arrays, written: _Arrays) -> Iterator[str]:
    for role, arrays in (("stored", stored), ("fed", fed), ("written", written)):
        for name, array in arrays.items():
            is_parameter = role == "stored" and array.size <= _FEW and op not in ARITHMETIC
            is_exact = is_parameter or array.dtype.kind != "f" or op not in _SMOOTH
            ordinary = _LINEAR if op in ARITHMETIC else _ORDINARY
            values = _digest(array) if is_exact else _character(array, ordinary)
            yield f"{role} {name} {array.dtype.name} {array.shape} {values}"


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _character(array: np.ndarray, ordinary: range) -> str:
    """Signs, special values, the power of ten of the largest, wholeness and variety of floating-point numbers.

    Args:
        array: The numbers, at least one.
        ordinary: The powers of ten between which there is no difference.
    """
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return f"none finite of {_digest(array)}"
    lowest, highest = float(finite.min()), float(finite.max())
    special = [name for name, test in _SPECIAL.items() if test(array).any()]
    if lowest == highest:
        return f"all {_number(highest, ordinary)} {special}"
    whole = bool(np.all(finite == np.trunc(finite)))
    return f"{lowest < 0} {highest > 0} {_power(max(-lowest, highest), ordinary)} {whole} {special}"


def _number(value: float, ordinary: range) -> str:
    """A number with few digits exactly, because a person chose it; sign and power of ten of any other."""
    written = f"{value:.{_ROUND_DIGITS - 1}e}"
    if value == 0 or abs(float(written) - value) <= _SAME * abs(value):
        return written
    return f"{'-' if value < 0 else '+'}{_power(abs(value), ordinary)}"


def _power(value: float, ordinary: range) -> int:
    power = math.floor(math.log10(value))
    return 0 if power in ordinary else power
