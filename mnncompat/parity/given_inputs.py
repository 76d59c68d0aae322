"""Shapes and arrays that the user gives for inputs, checked against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnncompat.parity.runners import InputSpec


def checked(
    signature: Sequence[InputSpec],
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, np.ndarray],
) -> tuple[dict[str, tuple[int, ...]], dict[str, np.ndarray]]:
    """Check shapes and arrays from the user against the model.

    Args:
        signature: The model's inputs.
        shapes: Shapes that the user gave, by input name.
        inputs: Arrays that the user gave, by input name.

    Returns:
        The shapes, those of the arrays included, and the arrays in the declared dtypes.

    Raises:
        UsageError: An unknown name, a rank or static dimension that does not fit, a size below 1, an array of the
            wrong kind, or an input of unknown rank without a shape.
    """
    known = {spec.name: spec for spec in signature}
    for name in (*shapes, *inputs):
        if name not in known:
            listed = ", ".join(repr(each) for each in known) or "none"
            raise UsageError(f"the model has no input {name!r}", hint=f"its inputs are: {listed}")
    arrays = {name: _cast(known[name], np.asarray(array)) for name, array in inputs.items()}
    both = {name: (tuple(shape), "shape") for name, shape in shapes.items()}
    for name, array in arrays.items():
        if name in both and both[name][0] != array.shape:
            raise UsageError(
                f"input {name!r} was given the shape {list(both[name][0])} and an array of {list(array.shape)}",
                hint="leave out the shape: the array has one",
            )
        both[name] = array.shape, "array"
    for name, (shape, what) in both.items():
        _check_shape(known[name], shape, what)
    for spec in signature:
        if spec.shape is None and spec.name not in both:
            raise UsageError(
                f"input {spec.name!r} has no declared rank",
                hint=f"give its shape, e.g. --shape {spec.name}:1,3,224,224",
            )
    return {name: shape for name, (shape, _) in both.items()}, arrays


def _check_shape(spec: InputSpec, shape: tuple[int, ...], what: str) -> None:
    declared = "unknown" if spec.shape is None else [each if each is not None else "?" for each in spec.shape]
    hint = f"the model declares {declared} for it".replace("'", "")
    if what == "shape" and any(size < 1 for size in shape):
        raise UsageError(f"the shape {list(shape)} for input {spec.name!r} has a size below 1", hint=hint)
    if spec.shape is None:
        return
    if len(shape) != len(spec.shape):
        raise UsageError(f"the {what} {list(shape)} for input {spec.name!r} is of another rank", hint=hint)
    for axis, (size, wanted) in enumerate(zip(shape, spec.shape, strict=True)):
        if isinstance(wanted, int) and size != wanted:
            raise UsageError(
                f"the {what} {list(shape)} for input {spec.name!r} has {size} on axis {axis}, the model has {wanted}",
                hint=hint,
            )


def _cast(spec: InputSpec, array: np.ndarray) -> np.ndarray:
    """The array in the declared dtype. Kinds must agree, and integers must fit."""
    if spec.dtype is None or array.dtype.kind not in "biuf":
        raise UsageError(f"input {spec.name!r} cannot be fed with {array.dtype.name}", hint="only numbers can be fed")
    classes = {"f": "float", "i": "integer", "u": "integer", "b": "boolean"}
    if classes[spec.dtype.kind] != classes[array.dtype.kind]:
        raise UsageError(
            f"the array for input {spec.name!r} is {array.dtype.name}, the model needs {spec.dtype.name}",
            hint=f"convert it first: numpy.save(file, array.astype({str(spec.dtype.name)!r}))",
        )
    cast = array.astype(spec.dtype)
    if spec.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise UsageError(
            f"the array for input {spec.name!r} holds values that do not fit into {spec.dtype.name}",
            hint="give values in its range",
        )
    return cast
