"""Scales and zero points of the quantised operators of ONNX Runtime's own domain, in the ranks that emitters need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import wide


def is_number(value: Value) -> bool:
    """True for a parameter of the whole tensor."""
    return value.rank == 0 or value.dims == (1,)


def scalar(new: SubgraphBuilder, position: int, value: Value) -> Value:
    """A scale or zero point of a whole tensor in rank 0."""
    if not is_number(value):
        raise NotApplicable(f"input {position} is {value.dims}: one number for the tensor is known")
    constant = value.constant
    if constant is not None:
        return new.constant(constant.reshape(()))
    return value if value.rank == 0 else new.reshape(value, ())


def tensor_scale(new: SubgraphBuilder, position: int) -> Value:
    """A scale in float32 and rank 0."""
    return scalar(new, position, wide(new, new.input(position)))


def tensor_zero_point(new: SubgraphBuilder, position: int) -> Value | None:
    """A zero point in rank 0; None if it is left out."""
    return scalar(new, position, new.input(position)) if new.has(position) else None


def zero_as_float(new: SubgraphBuilder, position: int) -> Value:
    """A zero point in float32; 0 if it is left out."""
    zero = tensor_zero_point(new, position)
    return new.constant(np.zeros((), np.float32)) if zero is None else wide(new, zero)


def column_parameter(new: SubgraphBuilder, position: int, *, across: bool = False) -> Value:
    """One number, or one for each column of a product; `across`: of an operand that is yet to be transposed."""
    value = new.input(position)
    if is_number(value):
        return scalar(new, position, value)
    if not across:
        return value
    constant = value.constant
    return new.unsqueeze(value, [1]) if constant is None else new.constant(constant[:, None])


def folded(new: SubgraphBuilder, formula: Callable[..., Any], *values: Value) -> Value:
    """A formula of values, evaluated at once if all of them are constant."""
    constants = [each.constant for each in values]
    if any(each is None for each in constants):
        result: Value = formula(*values)
        return result
    return new.constant(np.asarray(formula(*(np.asarray(each, np.float32) for each in constants)), np.float32))
