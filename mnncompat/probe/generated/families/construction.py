"""Operators that make tensors, tell their size or change their type: Shape, Range, ConstantOfShape, Cast, ..."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mnncompat.probe.generated.draw import ANYTHING, Draw
from mnncompat.probe.generated.precision import Precision
from mnncompat.probe.generated.registry import generator

_BOUNDS = 15  # opset since which Shape has start and end


@generator("Shape", weight=30, precision=Precision.EXACT)
def shape_of(draw: Draw) -> None:
    """Alone; with `start` and `end`; followed by Gather, Slice or Cast, as size arithmetic is."""
    shape = draw.shape()
    x = draw.input(draw.normal(shape, draw.dtype(ANYTHING)), "data")
    attributes: dict[str, Any] = {}
    if draw.version >= _BOUNDS and draw.chance(0.5):
        start = draw.integer(0, len(shape) - 1)
        one = {"start": start, "end": start + 1}
        attributes = draw.pick((one, {"start": start}, {"end": start + 1}, {"start": -1}))
    (sizes,) = draw.emit(x, **attributes)
    form = draw.weighted({"alone": 5.0, "gather": 3.0, "cast": 1.0, "product": 1.0})
    if form == "gather" and not attributes:
        axis = draw.axis(len(shape), negative=0.2 if draw.opset >= 11 else 0.0)  # noqa: PLR2004 - negative since 11
        draw.node("Gather", [sizes, draw.constant(np.array(draw.pick((axis, [axis]))), "index")], axis=0)
    elif form == "cast":
        draw.node("Cast", [sizes], to=draw.pick((onnx.TensorProto.FLOAT, onnx.TensorProto.INT32)))
    elif form == "product":
        draw.node("Mul", [sizes, draw.constant(np.array(2), "factor")])


@generator("Size", weight=10, precision=Precision.EXACT)
def size_of(draw: Draw) -> None:
    """The number of elements."""
    draw.emit(draw.input(draw.normal(draw.shape(), draw.dtype(ANYTHING)), "data"))


@generator("Constant", weight=24, precision=Precision.EXACT)
def constant(draw: Draw) -> None:
    """Each form that the version has, behind it an Add or Mul with a runtime input."""
    form = "value"
    if draw.version >= 12 and draw.chance(0.4):  # noqa: PLR2004 - scalars and lists since 12
        form = draw.pick(("value_float", "value_floats", "value_int", "value_ints"))
    shape = draw.shape()
    dtype = np.dtype(draw.weighted({"float32": 6.0, "int64": 3.0, "float16": 1.0, "int32": 1.0}))
    value: Any
    if form == "value":
        values = draw.normal(draw.pick((shape, shape[-1:], (), (1,))), dtype)
        value = numpy_helper.from_array(values)
    else:
        dtype = np.dtype(np.float32 if "float" in form else np.int64)
        values = draw.normal(shape[-1:] if form.endswith("s") else (), dtype)
        value = values.tolist()
    (made,) = draw.emit(**{form: value})
    draw.node(draw.pick(("Add", "Mul")), [draw.input(draw.normal(shape, dtype)), made])


@generator("ConstantOfShape", weight=20, precision=Precision.EXACT)
def constant_of_shape(draw: Draw) -> None:
    """The shape a constant or from a Shape; `value` absent (zeros) or one number of any type."""
    shape = draw.shape(1, 4)
    kinds = {"float32": 6.0, "int64": 4.0, "bool": 0.7, "int32": 1.0}
    dtype = np.dtype(draw.weighted(kinds))
    value = None
    if not draw.chance(0.2):
        number = np.array([draw.pick((0, 1, 1, 2, -1)) if dtype.kind != "b" else draw.chance(0.5)], dtype)
        value = numpy_helper.from_array(number)
    else:
        dtype = np.dtype(np.float32)
    if draw.chance(0.5):
        target = draw.integers(shape, "shape", constant=0.7)
        draw.emit(target, value=value)
    else:
        (target,) = draw.node("Shape", [draw.input(draw.normal(shape), "like")])
        draw.emit(target, value=value)


@generator("Range", weight=22, precision=Precision.ARITHMETIC)
def value_range(draw: Draw) -> None:
    """Zero to a size mostly; start and step constant, limit often not; floats in sixteenths."""
    dtype = draw.dtype({"int64": 7.0, "float32": 3.0, "int32": 2.0})
    start, delta = draw.weighted({0: 6.0, 1: 1.0, 3: 1.0, -2: 0.5}), draw.weighted({1: 6.0, 2: 1.5, -1: 0.6})
    limit = start + delta * draw.integer(1, 12)
    scale = draw.pick((1.0, 0.5, 0.0625)) if dtype.kind == "f" else 1
    names = [draw.constant(np.array(start * scale, dtype), "start")]
    names.append(draw.operand(np.array(limit * scale, dtype), "limit", constant=0.4))
    names.append(draw.constant(np.array(delta * scale, dtype), "delta"))
    draw.emit(*names)


@generator("EyeLike", weight=10, precision=Precision.EXACT)
def eye_like(draw: Draw) -> None:
    """Square and not; diagonals; types."""
    x = draw.input(draw.normal((draw.dim(2), draw.dim(2)), draw.dtype({"float32": 6.0, "int64": 2.0, "int32": 1.0})))
    types = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    draw.emit(x, **draw.attributes(0.5, k=(0, 1, -1), dtype=types))


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
def cast(draw: Draw) -> None:
    """Between the types that exporters cast between; fractions are cut off, no value is out of range."""
    source, target = draw.weighted(_CASTS)
    low = 0 if "uint8" in {source, target} else -9
    values = draw.uniform(draw.shape(), low, 100 if low == 0 else 9, source)
    if values.dtype.kind == "f" and np.dtype(target).kind in "iub":
        values = np.trunc(values) + np.where(values < 0, -1, 1) * values.dtype.type(draw.pick((0.25, 0.5, 0.75)))
    if source == "float32" and target == "float16":
        values = values.astype(np.float16).astype(np.float32)
    if target == "bool":
        values = np.where(draw.random.random(values.shape) < 0.4, np.zeros_like(values), values)  # noqa: PLR2004
        values.flat[0] = 0.5 if values.dtype.kind == "f" else 1
    x = draw.input(values)
    if draw.op == "Cast":
        draw.emit(x, to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))
    else:
        draw.emit(x, draw.operand(draw.normal((1,), target), "like", constant=0.4))
