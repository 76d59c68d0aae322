"""Operators of one tensor, element by element: functions and activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import FLOATS, NUMBERS, Sample

_SPRINKLED = 0.3
_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary:
    """One operator.

    Attributes:
        low: Smallest value drawn.
        high: Largest value drawn.
        special: Values that matter, put among the others in some of the cases.
        always: Whether every case has special values.
        dtypes: Dtypes by weight.
        attributes: Attribute -> the values that exporters write.
    """

    low: float = -4.0
    high: float = 4.0
    special: Sequence[float] = ()
    always: bool = False
    dtypes: Mapping[str, float] = field(default_factory=lambda: FLOATS)
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)


ARITHMETIC = {
    "Abs": Unary(special=(0.0,), dtypes=NUMBERS, low=-9, high=9),
    "Neg": Unary(special=(0.0,), dtypes=NUMBERS, low=-9, high=9),
    "Sign": Unary(special=(0.0, -1e-4), dtypes=NUMBERS),
    "Ceil": Unary(special=(0.0, 2.0, -3.0, -0.5)),
    "Floor": Unary(special=(0.0, 2.0, -3.0, -0.5)),
    "Round": Unary(special=(0.5, 2.5, -0.5, -2.5, 1.5), always=True),
    "Reciprocal": Unary(low=0.2, high=5.0, special=(-0.5, -2.0)),
    "Relu": Unary(special=(0.0,), dtypes=NUMBERS),
    "LeakyRelu": Unary(attributes={"alpha": (0.01, 0.1, 0.2, 0.3)}),
    "ThresholdedRelu": Unary(attributes={"alpha": (1.0, 0.5, 0.1)}),
    "HardSigmoid": Unary(low=-5, high=5, attributes={"alpha": (0.2, 0.1666666716337204), "beta": (0.5,)}),
    "HardSwish": Unary(low=-5, high=5, special=(-3.0, 3.0)),
    "Shrink": Unary(low=-2, high=2, attributes={"bias": (0.0, 0.5), "lambd": (0.5, 1.0)}),
    "Softsign": Unary(),
    "Not": Unary(dtypes={"bool": 1.0}),
    "IsNaN": Unary(special=(float("nan"),), always=True),
    "IsInf": Unary(special=(float("inf"), float("-inf")), always=True, attributes={"detect_negative": (0, 1)}),
    "BitwiseNot": Unary(dtypes={"int32": 2.0, "int64": 2.0, "uint8": 1.0}, low=0, high=100),
}
"""Right up to a few roundings."""

TRANSCENDENTAL = {
    "Sqrt": Unary(low=0.0, high=9.0, special=(0.0, 100.0)),
    "Exp": Unary(special=(10.0, -20.0, 0.0)),
    "Log": Unary(low=0.01, high=9.0, special=(1.0, 1e-3)),
    "Sin": Unary(special=(20.0,)),
    "Cos": Unary(special=(20.0,)),
    "Tan": Unary(low=-1.2, high=1.2),
    "Asin": Unary(low=-0.98, high=0.98, special=(0.0,)),
    "Acos": Unary(low=-0.98, high=0.98, special=(0.0,)),
    "Atan": Unary(special=(30.0, -30.0)),
    "Sinh": Unary(low=-3, high=3),
    "Cosh": Unary(low=-3, high=3),
    "Asinh": Unary(),
    "Acosh": Unary(low=1.05, high=9.0),
    "Atanh": Unary(low=-0.95, high=0.95),
    "Tanh": Unary(special=(10.0, -10.0, 0.0)),
    "Sigmoid": Unary(special=(20.0, -20.0)),
    "Erf": Unary(low=-3, high=3),
    "Elu": Unary(attributes={"alpha": (1.0, 0.5, 2.0)}),
    "Celu": Unary(attributes={"alpha": (1.0, 0.5, 2.0)}),
    "Selu": Unary(attributes={"alpha": (1.67326319217681884765625, 1.5), "gamma": (1.05070102214813232421875, 1.2)}),
    "Gelu": Unary(attributes={"approximate": ("none", "tanh")}),
    "Softplus": Unary(special=(15.0, -15.0)),
    "Mish": Unary(),
    "Swish": Unary(attributes={"alpha": (1.0, 1.702)}),
}
"""MNN approximates some of them."""

_FREQUENT = {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Abs", "Neg", "HardSigmoid", "HardSwish"}
_FREQUENT |= {"Erf", "Gelu", "Elu", "Round", "Softplus", "Reciprocal", "Floor"}


def _unary(sample: Sample) -> None:
    spec = {**ARITHMETIC, **TRANSCENDENTAL}[sample.op]
    dtype = sample.dtype(spec.dtypes)
    values = sample.uniform(sample.shape(), spec.low, spec.high, dtype)
    if spec.special and dtype.kind == "f" and (spec.always or sample.chance(_SPRINKLED)):
        chosen = np.array([sample.pick(spec.special) for _ in range(values.size)]).reshape(values.shape).astype(dtype)
        values = np.where(sample.random.random(values.shape) < _SHARE, chosen, values)
        values.flat[0] = spec.special[0]
    sample.emit(sample.input(values), **sample.attributes(0.3, **spec.attributes))


for _table, _precision in ((ARITHMETIC, Precision.ARITHMETIC), (TRANSCENDENTAL, Precision.APPROXIMATE)):
    generator(*(_table.keys() & _FREQUENT), weight=20, precision=_precision)(_unary)
    generator(*(_table.keys() - _FREQUENT), weight=10, precision=_precision)(_unary)


@generator("Clip", weight=60)
def clip(sample: Sample) -> None:
    """Limits as attributes (till opset 10) or operands, each of them optional; ReLU6 is the usual form."""
    dtype = sample.dtype(NUMBERS if sample.version >= 12 else FLOATS)  # noqa: PLR2004 - integers since Clip 12
    low, high = sample.weighted({(0, 6): 4.0, (-1, 1): 3.0, (0, 1): 2.0, (-3, 2): 2.0, (1, 4): 1.0})
    if dtype.kind == "u":
        low = max(low, 0)
    x = sample.input(sample.uniform(sample.shape(), -8, 8, dtype))
    lower, upper = not sample.chance(0.15), not sample.chance(0.2)
    if sample.version < 11:  # noqa: PLR2004 - limits are operands since Clip 11
        sample.emit(x, min=float(low) if lower else None, max=float(high) if upper else None)
        return
    constant = 0.92
    inputs = [x, sample.operand(np.array(low, dtype), "min", constant=constant) if lower else ""]
    if upper:
        inputs.append(sample.operand(np.array(high, dtype), "max", constant=constant))
    elif not lower or sample.chance(0.3):
        inputs.append("")
    while inputs[-1] == "":
        inputs.pop()
    sample.emit(*inputs)


@generator("Dropout", weight=12, precision=Precision.EXACT)
def dropout(sample: Sample) -> None:
    """In inference it passes its input through; the mask is rarely asked for."""
    x = sample.input(sample.normal(sample.shape(), sample.dtype()))
    outputs = ["y", "mask"] if sample.chance(0.2) else ["y"]
    if sample.version < 12:  # noqa: PLR2004 - ratio is an operand since Dropout 12
        sample.emit(x, outputs=outputs, **sample.attributes(ratio=(0.5, 0.1, 0.2)))
        return
    inputs = [x]
    if sample.chance(0.7):
        inputs.append(sample.constant(np.array(sample.pick((0.5, 0.1, 0.0)), np.float32), "ratio"))
        if sample.chance(0.5):
            inputs.append(sample.constant(np.array(False), "training_mode"))  # noqa: FBT003 - a tensor's value
    sample.emit(*inputs, outputs=outputs)
