"""What a model has to be fed with, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """A graph input that has to be fed.

    Attributes:
        name: Its name.
        dtype: numpy's dtype, None for types that numpy arrays do not hold (sequences, optionals, strings, bfloat16,
            float8).
        shape: Its shape: an int where it is static, the parameter's name where it is symbolic, None where nothing is
            known; None altogether when the rank is unknown.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None


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
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return InputSpec(name=value.name, dtype=_dtype(tensor.elem_type), shape=None)
    return InputSpec(
        name=value.name, dtype=_dtype(tensor.elem_type), shape=tuple(_dimension(each) for each in tensor.shape.dim)
    )


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dimension.HasField("dim_value") and dimension.dim_value >= 0:
        return int(dimension.dim_value)
    return dimension.dim_param or None


def _dtype(element: int) -> np.dtype[Any] | None:
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element))
    except (KeyError, TypeError, ValueError):
        return None
    return dtype if dtype.kind in "biuf" and dtype.isbuiltin == 1 else None
