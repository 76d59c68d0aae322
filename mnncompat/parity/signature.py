"""What a model has to be fed with, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from mnncompat.graph.tensor_values import element_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """A graph input that has to be fed.

    Attributes:
        name: Its name.
        dtype: numpy's dtype, None for types that numpy arrays do not hold (sequences, optionals, strings, float8);
            float32 for bfloat16.
        shape: Its shape: an int where it is static, the parameter's name where it is symbolic, None where nothing is
            known; None altogether when the rank is unknown.
        is_bfloat16: Whether its numbers are those of bfloat16.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None
    is_bfloat16: bool = False


def input_signature(model: onnx.ModelProto) -> tuple[InputSpec, ...]:
    """The inputs that a caller has to feed: graph inputs that no initializer gives a default."""
    given = {each.name for each in model.graph.initializer} | {
        each.values.name for each in model.graph.sparse_initializer
    }
    return tuple(_spec(each) for each in model.graph.input if each.name not in given)


def output_names(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the graph outputs, in order."""
    return tuple(each.name for each in model.graph.output)


def _spec(value: onnx.ValueInfoProto) -> InputSpec:
    tensor = value.type.tensor_type
    has_shape = value.type.HasField("tensor_type") and tensor.HasField("shape")
    return InputSpec(
        name=value.name,
        dtype=_dtype(tensor.elem_type),
        shape=tuple(_dimension(each) for each in tensor.shape.dim) if has_shape else None,
        is_bfloat16=tensor.elem_type == onnx.TensorProto.BFLOAT16,
    )


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dimension.HasField("dim_value") and dimension.dim_value >= 0:
        return int(dimension.dim_value)
    return dimension.dim_param or None


def _dtype(element: int) -> np.dtype[Any] | None:
    if element == onnx.TensorProto.BFLOAT16:
        return np.dtype(np.float32)
    try:
        dtype = element_dtype(element)
    except (KeyError, TypeError, ValueError):
        return None
    return dtype if dtype.kind in "biuf" and dtype.isbuiltin == 1 else None
