"""Operators that make tensors, tell their size or change their type: Shape, Range, ConstantOfShape, Cast, ..."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator
from mnncompat.probe.generated.sample import ANYTHING, Sample

_BOUNDS = 15  # opset since which Shape has start and end


@generator("Shape", weight=30, precision=Precision.EXACT)
def shape_of(sample: Sample) -> None:
    """Alone; with `start` and `end`; followed by Gather, Slice or Cast, as size arithmetic is."""
    shape = sample.shape()
    x = sample.input(sample.normal(shape, sample.dtype(ANYTHING)), "data")
    attributes: dict[str, Any] = {}
    if sample.version >= _BOUNDS and sample.chance(0.5):
        start = sample.integer(0, len(shape) - 1)
        one = {"start": start, "end": start + 1}
        attributes = sample.pick((one, {"start": start}, {"end": start + 1}, {"start": -1}))
    (sizes,) = sample.emit(x, **attributes)
    form = sample.weighted({"alone": 5.0, "gather": 3.0, "cast": 1.0, "product": 1.0})
    if form == "gather" and not attributes:
        axis = sample.axis(len(shape), negative=0.2 if sample.opset >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
        sample.node("Gather", [sizes, sample.constant(np.array(sample.pick((axis, [axis]))), "index")], axis=0)
    elif form == "cast":
        sample.node("Cast", [sizes], to=sample.pick((onnx.TensorProto.FLOAT, onnx.TensorProto.INT32)))
    elif form == "product":
        sample.node("Mul", [sizes, sample.constant(np.array(2), "factor")])


@generator("Size", weight=10, precision=Precision.EXACT)
def size_of(sample: Sample) -> None:
    """The number of elements."""
    sample.emit(sample.input(sample.normal(sample.shape(), sample.dtype(ANYTHING)), "data"))


@generator("Constant", weight=24, precision=Precision.EXACT)
def constant(sample: Sample) -> None:
    """Each form that the version has, behind it an Add or Mul with a runtime input."""
    form = "value"
    if sample.version >= 12 and sample.chance(0.4):  # noqa: PLR2004 - scalars and lists since 12
        form = sample.pick(("value_float", "value_floats", "value_int", "value_ints"))
    shape = sample.shape()
    dtype = np.dtype(sample.weighted({"float32": 6.0, "int64": 3.0, "float16": 1.0, "int32": 1.0}))
    value: Any
    if form == "value":
        values = sample.normal(sample.pick((shape, shape[-1:], (), (1,))), dtype)
        value = numpy_helper.from_array(values)
    else:
        dtype = np.dtype(np.float32 if "float" in form else np.int64)
        values = sample.normal(shape[-1:] if form.endswith("s") else (), dtype)
        value = values.tolist()
    (made,) = sample.emit(**{form: value})
    sample.node(sample.pick(("Add", "Mul")), [sample.input(sample.normal(shape, dtype)), made])


@generator("ConstantOfShape", weight=20, precision=Precision.EXACT)
def constant_of_shape(sample: Sample) -> None:
    """The shape a constant or from a Shape; `value` absent (zeros) or one number of any type."""
    shape = sample.shape(1, 4)
    kinds = {"float32": 6.0, "int64": 4.0, "bool": 0.7, "int32": 1.0}
    dtype = np.dtype(sample.weighted(kinds))
    value = None
    if not sample.chance(0.2):
        number = np.array([sample.pick((0, 1, 1, 2, -1)) if dtype.kind != "b" else sample.chance(0.5)], dtype)
        value = numpy_helper.from_array(number)
    else:
        dtype = np.dtype(np.float32)
    if sample.chance(0.5):
        target = sample.integers(shape, "shape", constant=0.7)
        sample.emit(target, value=value)
    else:
        (target,) = sample.node("Shape", [sample.input(sample.normal(shape), "like")])
        sample.emit(target, value=value)


@generator("Range", weight=22, precision=Precision.ARITHMETIC)
def value_range(sample: Sample) -> None:
    """Zero to a size mostly; start and step constant, limit often not; floats in sixteenths."""
    dtype = sample.dtype({"int64": 7.0, "float32": 3.0, "int32": 2.0})
    start, delta = sample.weighted({0: 6.0, 1: 1.0, 3: 1.0, -2: 0.5}), sample.weighted({1: 6.0, 2: 1.5, -1: 0.6})
    limit = start + delta * sample.integer(1, 12)
    scale = sample.pick((1.0, 0.5, 0.0625)) if dtype.kind == "f" else 1
    names = [sample.constant(np.array(start * scale, dtype), "start")]
    names.append(sample.operand(np.array(limit * scale, dtype), "limit", constant=0.4))
    names.append(sample.constant(np.array(delta * scale, dtype), "delta"))
    sample.emit(*names)


@generator("EyeLike", weight=10, precision=Precision.EXACT)
def eye_like(sample: Sample) -> None:
    """Square and not; diagonals; types."""
    x = sample.input(
        sample.normal((sample.dim(2), sample.dim(2)), sample.dtype({"float32": 6.0, "int64": 2.0, "int32": 1.0}))
    )
    types = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    sample.emit(x, **sample.attributes(0.5, k=(0, 1, -1), dtype=types))


_CASTS = {
    (pair.split()[0], pair.split()[1]): weight
    for weight, pairs in {
        4.0: ("int64 float32",),
        3.0: (
            "float32 float16",
            "float16 float32",
            "float32 int64",
            "bool float32",
            "int32 float32",
            "int64 int32",
            "int32 int64",
        ),
        2.0: ("float32 int32", "float32 bool", "int64 bool", "uint8 float32"),
        1.5: ("float32 uint8", "float32 float32"),
        1.0: ("bool int64", "int32 bool", "float32 float64", "float64 float32", "int64 int64", "bool int32"),
        0.7: ("float32 int8", "int64 float16"),
        0.5: ("int64 uint8", "bool bool", "int64 float64"),
    }.items()
    for pair in pairs
}
"""Source and target by weight."""


@generator("Cast", weight=54, precision=Precision.EXACT)
@generator("CastLike", weight=12, precision=Precision.EXACT)
def cast(sample: Sample) -> None:
    """Between the types that exporters cast between; fractions are cut off, no value is out of range."""
    source, target = sample.weighted(_CASTS)
    low = 0 if "uint8" in {source, target} else -9
    values = sample.uniform(sample.shape(), low, 100 if low == 0 else 9, source)
    if values.dtype.kind == "f" and np.dtype(target).kind in "iub":
        values = np.trunc(values) + np.where(values < 0, -1, 1) * values.dtype.type(sample.pick((0.25, 0.5, 0.75)))
    if source == "float32" and target == "float16":
        values = values.astype(np.float16).astype(np.float32)
    if target == "bool":
        values = np.where(sample.random.random(values.shape) < 0.4, np.zeros_like(values), values)  # noqa: PLR2004
        values.flat[0] = 0.5 if values.dtype.kind == "f" else 1
    x = sample.input(values)
    if sample.op == "Cast":
        sample.emit(x, to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))
    else:
        sample.emit(x, sample.operand(sample.normal((1,), target), "like", constant=0.4))
