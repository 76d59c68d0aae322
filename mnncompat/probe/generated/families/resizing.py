"""Resize and Upsample."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import Sample

Shape = tuple[int, ...]
_OPERANDS = 11
_AXES = 18
_MODES = {"nearest": 5.0, "linear": 5.0, "cubic": 1.3, None: 0.5}
_COORDINATES = {
    "nearest": {"asymmetric": 6.0, "half_pixel": 1.5, None: 1.0, "tf_half_pixel_for_nn": 0.3},
    "linear": {"half_pixel": 3.0, "align_corners": 3.0, "pytorch_half_pixel": 2.5, "asymmetric": 2.0, None: 1.0},
    "cubic": {"half_pixel": 3.0, "align_corners": 1.0, "pytorch_half_pixel": 3.0, "asymmetric": 0.5, None: 0.5},
}
_ROUNDING = {"floor": 6.0, None: 1.0, "round_prefer_floor": 1.0, "round_prefer_ceil": 0.4, "ceil": 0.3}
_FACTORS = {2.0: 8.0, 4.0: 1.0, 1.5: 1.5, 3.0: 0.7, 0.5: 1.5, 1.25: 0.4}


def _image(sample: Sample) -> Shape:
    dimensions = sample.weighted({2: 9.0, 1: 1.0, 3: 0.7})
    return (sample.batch(), sample.channels(12), *(sample.dim(2, 8) for _ in range(dimensions)))


def _factors(sample: Sample, shape: Shape) -> list[float]:
    first = sample.weighted(_FACTORS)
    spatial = [first if sample.chance(0.8) else sample.weighted(_FACTORS) for _ in shape[2:]]
    return [1.0, 1.0, *spatial]


@generator("Resize", weight=130, precision=Precision.ARITHMETIC)
def resize(sample: Sample) -> None:
    """Doubling mostly; scales or sizes; every mode with the coordinates that exporters pair it with."""
    shape = _image(sample)
    dtype = sample.dtype({"float32": 90.0, "float16": 8.0, "uint8": 1.0, "int32": 1.0})
    mode = sample.weighted(_MODES) if dtype.kind == "f" else "nearest"
    if sample.version < _OPERANDS and mode == "cubic":
        mode = "linear"
    x = sample.input(sample.normal(shape, dtype))
    factors = _factors(sample, shape)
    if sample.version < _OPERANDS:
        sample.emit(x, sample.operand(np.array(factors, np.float32), "scales", constant=0.95), mode=mode)
        return
    attributes = _attributes(sample, mode)
    axes = list(range(2, len(shape))) if sample.version >= _AXES and sample.chance(0.08) else None
    wanted = factors if axes is None else factors[2:]
    named = sample.chance(0.3)
    inputs = [
        x,
        sample.initializer(np.zeros(0, np.float32), "roi") if sample.version < 13 or sample.chance(0.1) else "",  # noqa: PLR2004
    ]
    if sample.chance(0.55):
        inputs.append(sample.operand(np.array(wanted, np.float32), "scales", constant=0.95))
    else:
        sizes = [int(size * factor) for size, factor in zip(shape[-len(wanted) :], wanted, strict=True)]
        empty = sample.initializer(np.zeros(0, np.float32), "scales") if sample.version < 13 or named else ""  # noqa: PLR2004
        inputs += [empty, sample.integers(sizes, "sizes", constant=0.93)]
    sample.emit(*inputs, mode=mode, axes=axes, **attributes)


def _attributes(sample: Sample, mode: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["coordinate_transformation_mode"] = sample.weighted(_COORDINATES[mode or "nearest"])
    if sample.version >= 13 and found["coordinate_transformation_mode"] == "tf_half_pixel_for_nn":  # noqa: PLR2004
        found["coordinate_transformation_mode"] = "asymmetric"
    if sample.version >= 19 and sample.chance(0.04):  # noqa: PLR2004 - half_pixel_symmetric since 19
        found["coordinate_transformation_mode"] = "half_pixel_symmetric"
    if mode in {"nearest", None}:
        found["nearest_mode"] = sample.weighted(_ROUNDING)
    elif sample.chance(0.3):
        found["nearest_mode"] = "floor"  # PyTorch writes it in every mode
    if mode == "cubic" or sample.chance(0.25):
        found["cubic_coeff_a"] = sample.weighted({-0.75: 7.0, None: 2.0, -0.5: 0.6})
    if mode == "cubic" and sample.chance(0.1):
        found["exclude_outside"] = sample.pick((0, 1))
    if sample.version >= _AXES and mode in {"linear", "cubic"} and sample.chance(0.06):
        found["antialias"] = 1
    return found


@generator("Upsample", weight=26, precision=Precision.ARITHMETIC)
def upsample(sample: Sample) -> None:
    """Whole factors; scales an attribute (opset 7, 8) or an operand (9)."""
    shape = _image(sample)
    factors = [1.0, 1.0, *[sample.weighted({2.0: 6.0, 4.0: 1.0, 3.0: 1.0, 1.5: 0.5})] * (len(shape) - 2)]
    mode = sample.weighted({"nearest": 6.0, "linear": 3.0, None: 1.0})
    x = sample.input(sample.normal(shape, sample.dtype({"float32": 95.0, "float16": 5.0})))
    if sample.version < 9:  # noqa: PLR2004 - scales are an operand since Upsample 9
        sample.emit(x, mode=mode, scales=factors)
    else:
        sample.emit(x, sample.operand(np.array(factors, np.float32), "scales", constant=0.95), mode=mode)
