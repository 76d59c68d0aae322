"""Find concrete shapes for a model whose inputs have dynamic dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mnncompat.parity.runners import InputSpec

BATCHES = (1, 2, 3)
"""Sizes that are tried for a dynamic batch."""
_BATCH = "\0batch"
_IMAGE, _VIDEO = 4, 5
_CHANNELS = (3, 1, 3, 3, 3, 3, 1, 3)
_HEIGHTS = (64, 64, 224, 32, 128, 256, 640, 48)
_WIDTHS = (96, 64, 224, 32, 128, 256, 640, 320)
_LENGTHS = (16, 8, 32, 64, 128, 512, 1, 16000)
_HIGHS = (10, 2, 2, 2, 2, 2, 2, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One way to give every input a shape.

    Attributes:
        shapes: For each batch size: input name -> shape. A single entry when the batch is not dynamic.
        high: Integers may be drawn below it.
    """

    shapes: tuple[dict[str, tuple[int, ...]], ...]
    high: int


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


def guesses(signature: Sequence[InputSpec], given: Mapping[str, tuple[int, ...]]) -> Iterator[Guess]:
    """Ways to give every input a shape, the most likely first.

    Dimensions with the same parameter get the same size. A dynamic first dimension is the batch, and all of them are
    the same batch. Images get a height and a width that differ, then usual squares; everything else is a length.

    Args:
        signature: The model's inputs.
        given: Shapes that are fixed, by input name.

    Yields:
        Guesses; a single one when nothing is dynamic and no integers are drawn.

    Raises:
        UsageError: The fixed shapes give one parameter two sizes.
    """
    sizes = _bound(signature, given)
    seen = set()
    for trial in range(len(_HIGHS)):
        assigned = dict(sizes)
        for spec in signature:
            if spec.name not in given:
                _assign(spec, trial, assigned)
        batches = BATCHES if any(_is_batch(spec, sizes) for spec in signature if spec.name not in given) else (1,)
        guess = Guess(
            shapes=tuple(_concrete(signature, given, assigned, sizes, batch) for batch in batches), high=_HIGHS[trial]
        )
        if (key := repr(guess)) not in seen:
            seen.add(key)
            yield guess


def is_dynamic(spec: InputSpec) -> bool:
    """Whether some dimension of the input is not fixed by the model."""
    return any(not isinstance(each, int) for each in spec.shape or ())


def example(spec: InputSpec) -> str:
    """An example of the value of `--shape` for an input."""
    sizes: dict[str, int] = {}
    _assign(spec, 0, sizes)
    numbers = (
        each if isinstance(each, int) else sizes.get(_key(spec, axis), 1) for axis, each in enumerate(spec.shape or ())
    )
    return f"{spec.name}:{','.join(map(str, numbers))}"


def _key(spec: InputSpec, axis: int) -> str:
    """Name of a dynamic dimension: its parameter, or its position. The first one is the batch."""
    dimension = (spec.shape or ())[axis]
    if isinstance(dimension, str):
        return dimension
    return _BATCH if axis == 0 else f"\0{spec.name}\0{axis}"


def _dynamic(spec: InputSpec) -> list[int]:
    return [axis for axis, dimension in enumerate(spec.shape or ()) if not isinstance(dimension, int)]


def _is_batch(spec: InputSpec, sizes: Mapping[str, int]) -> bool:
    return 0 in _dynamic(spec) and _key(spec, 0) not in sizes


def _bound(signature: Sequence[InputSpec], given: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Sizes that the given shapes fix."""
    sizes: dict[str, int] = {}
    for spec in signature:
        for axis in _dynamic(spec) if spec.name in given else ():
            size, key = given[spec.name][axis], _key(spec, axis)
            if sizes.setdefault(key, size) != size:
                called = "the batch" if key == _BATCH else repr(key)
                raise UsageError(
                    f"the given shapes make {called} both {sizes[key]} and {size}",
                    hint="give it the same size in every input",
                )
    return sizes


def _assign(spec: InputSpec, trial: int, sizes: dict[str, int]) -> None:
    shape = spec.shape or ()
    for axis in _dynamic(spec):
        if axis > 0:
            sizes.setdefault(_key(spec, axis), _size(shape, axis, trial))


def _size(shape: tuple[int | str | None, ...], axis: int, trial: int) -> int:
    rank = len(shape)
    if rank not in (_IMAGE, _VIDEO):
        return _LENGTHS[trial]
    channels_last = isinstance(shape[-1], int) and not isinstance(shape[1], int)
    spatial = axis if channels_last else axis - 1
    if spatial == 0 or spatial == rank - 1:
        return _CHANNELS[trial]
    return _WIDTHS[trial] if spatial == rank - 2 else _HEIGHTS[trial]


def _concrete(
    signature: Sequence[InputSpec],
    given: Mapping[str, tuple[int, ...]],
    assigned: Mapping[str, int],
    bound: Mapping[str, int],
    batch: int,
) -> dict[str, tuple[int, ...]]:
    firsts = {_key(spec, 0) for spec in signature if spec.name not in given and _is_batch(spec, bound)}
    sizes = dict(assigned) | dict.fromkeys(firsts, batch)
    shapes = dict(given)
    for spec in signature:
        if spec.name not in given:
            shapes[spec.name] = tuple(
                each if isinstance(each, int) else sizes[_key(spec, axis)] for axis, each in enumerate(spec.shape or ())
            )
    return shapes


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
