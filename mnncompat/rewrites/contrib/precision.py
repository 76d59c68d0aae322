"""Half precision of ONNX Runtime's own operators: its kernels compute in float32 and round the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def in_float32(new: SubgraphBuilder, value: Value) -> tuple[Value, Callable[[Value], Value]]:
    """A value in float32 if it is of half precision, as it is otherwise; and what brings a result back to its type."""
    element = value.dtype
    if element not in _HALVES:
        return value, lambda result: result
    constant = value.constant
    wide = new.cast(value, TensorProto.FLOAT) if constant is None else new.constant(constant.astype(np.float32))
    return wide, lambda result: new.cast(result, element)
