"""Shapes and arrays that the user gives for inputs, checked against the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import UsageError
from mnncompat.parity.bfloat16 import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mnncompat.parity.real_data import InputData, RealData, Sample
    from mnncompat.parity.signature import InputSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenDraw:
    """What the user gives for one draw.

    Attributes:
        name: What reports call it.
        shapes: Of the arrays, and of other inputs whose shape the user gave.
        arrays: Input name -> array, in the declared dtype; inputs that are not among them are drawn.
    """

    name: str
    shapes: dict[str, tuple[int, ...]]
    arrays: dict[str, np.ndarray]


def given_draws(
    signature: Sequence[InputSpec], shapes: Mapping[str, tuple[int, ...]], data: RealData
) -> tuple[GivenDraw, ...]:
    """The draws that consist of the user's data, checked against the model: one for each sample, then the feeds.

    Args:
        signature: The model's inputs.
        shapes: Shapes that the user gave, by input name.
        data: The data. Inputs with one sample have it in every draw.

    Raises:
        UsageError: See `checked`; or two inputs have different numbers of samples.
    """
    require_inputs(signature, data.inputs)
    known = {spec.name: spec for spec in signature}
    columns = {name: _samples(known[name], each) for name, each in data.inputs.items()}
    rows = [(f"feeds {number}", feeds) for number, feeds in enumerate(data.feeds, start=1)]
    rows = [*_aligned(columns), *rows]
    several = len(rows) > 1
    draws: list[GivenDraw] = []
    for name, arrays in rows:
        found = checked(signature, shapes, arrays, draw=name if several else "")
        draws.append(GivenDraw(name=name, shapes=found[0], arrays=found[1]))
    return tuple(draws)


def _samples(spec: InputSpec, data: InputData) -> tuple[Sample, ...]:
    """The samples as arrays: rows are taken apart, images are prepared."""
    from mnncompat.parity.real_data import Sample

    if data.preprocess is not None:
        return tuple(Sample(name=each.name, array=data.preprocess.prepare(each.array, spec)) for each in data.samples)
    (first, *more) = data.samples
    if more or not data.may_be_stacked or spec.shape is None or first.array.ndim != len(spec.shape) + 1:
        return data.samples
    if not len(first.array):
        raise UsageError(f"the array for input {spec.name!r} has no samples", hint="its first axis counts them")
    return tuple(Sample(name=f"sample {number}", array=row) for number, row in enumerate(first.array, start=1))


def _aligned(columns: Mapping[str, Sequence[Sample]]) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Draws of the samples that belong together: name, and input -> array."""
    counts = {name: len(samples) for name, samples in columns.items()}
    most = max(counts.values(), default=0)
    if any(count not in (1, most) for count in counts.values()):
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise UsageError(
            f"inputs have different numbers of samples: {listed}", hint="give as many for each, or one for all"
        )
    named = next((samples for samples in columns.values() if len(samples) == most), ())
    return [
        (each.name, {name: samples[place if len(samples) > 1 else 0].array for name, samples in columns.items()})
        for place, each in enumerate(named)
    ]


def require_inputs(signature: Sequence[InputSpec], names: Mapping[str, object]) -> None:
    """Every name is one of an input.

    Raises:
        UsageError: One is not.
    """
    known = [spec.name for spec in signature]
    for name in names:
        if name not in known:
            listed = ", ".join(repr(each) for each in known) or "none"
            raise UsageError(f"the model has no input {name!r}", hint=f"its inputs are: {listed}")


def checked(
    signature: Sequence[InputSpec],
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, np.ndarray],
    *,
    draw: str = "",
) -> tuple[dict[str, tuple[int, ...]], dict[str, np.ndarray]]:
    """Check shapes and arrays from the user against the model.

    Args:
        signature: The model's inputs.
        shapes: Shapes that the user gave, by input name.
        inputs: Arrays that the user gave, by input name.
        draw: Name of the draw where there are several, for messages.

    Returns:
        The shapes, those of the arrays included, and the arrays in the declared dtypes.

    Raises:
        UsageError: An unknown name, a rank or static dimension that does not fit, a size below 1, an array of the
            wrong kind, or an input of unknown rank without a shape.
    """
    known = {spec.name: spec for spec in signature}
    require_inputs(signature, {**shapes, **inputs})
    called = f"array of {draw!r}" if draw else "array"
    arrays = {name: _cast(known[name], np.asarray(array), called) for name, array in inputs.items()}
    both = {name: (tuple(shape), "shape") for name, shape in shapes.items()}
    for name, array in arrays.items():
        if name in both and both[name][0] != array.shape:
            raise UsageError(
                f"input {name!r} was given the shape {list(both[name][0])} and an {called} of {list(array.shape)}",
                hint="leave out the shape: the array has one",
            )
        both[name] = array.shape, called
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


def _cast(spec: InputSpec, array: np.ndarray, called: str) -> np.ndarray:
    """The array in the declared dtype. Kinds must agree, and integers must fit."""
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if spec.dtype is None or array.dtype.kind not in "biuf":
        raise UsageError(f"input {spec.name!r} cannot be fed with {array.dtype.name}", hint="only numbers can be fed")
    classes = {"f": "float", "i": "integer", "u": "integer", "b": "boolean"}
    if classes[spec.dtype.kind] != classes[array.dtype.kind]:
        raise UsageError(
            f"the {called} for input {spec.name!r} is {array.dtype.name}, the model needs {spec.dtype.name}",
            hint=f"convert it first: numpy.save(file, array.astype({str(spec.dtype.name)!r}))",
        )
    cast = rounded(array) if spec.is_bfloat16 else array.astype(spec.dtype)
    if spec.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise UsageError(
            f"the {called} for input {spec.name!r} holds values that do not fit into {spec.dtype.name}",
            hint="give values in its range",
        )
    return cast


def stated_sizes(signature: Sequence[InputSpec], dimensions: Mapping[str, Mapping[int, str]]) -> dict[str, int]:
    """Sizes that the signature states of dimensions that the model calls dynamic, as a rewritten model does."""
    found: dict[str, int] = {}
    for spec in signature:
        for axis, name in dimensions.get(spec.name, {}).items():
            size = None if spec.shape is None else spec.shape[axis]
            if isinstance(size, int):
                found[name] = size
    return found


def given_sizes(dimensions: Mapping[str, Mapping[int, str]], given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Sizes that the given shapes fix.

    Raises:
        UsageError: They give one dimension two sizes.
    """
    sizes: dict[str, int] = {}
    for name, shape in given.items():
        for axis, called in dimensions.get(name, {}).items():
            if sizes.setdefault(called, shape[axis]) != shape[axis]:
                raise UsageError(
                    f"the given shapes make {called!r} both {sizes[called]} and {shape[axis]}",
                    hint="give it the same size in every input",
                )
    return sizes
