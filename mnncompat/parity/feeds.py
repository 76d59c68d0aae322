"""Draw inputs: several draws, each with a name, the same for every runner.

Floating-point inputs:

- `normal`: N(0, 1), like normalised inputs.
- `uniform`: [0, 1), like an image that is scaled to one.
- `negative`: -|N(0, 1)|, for comparisons and activations that treat the sign wrongly.
- `zeros`: all zero, like padding; only biases have an effect.
- `large`: 16 * N(0, 1), cut at 80: exp of the input itself is still finite in float32 (ln of the largest float32 is
  88.7). Larger values would measure how infinities spread, not the model.

Integer inputs are indices, token ids, lengths and masks far more often than quantities, and one that is out of range is
an error: int16 and wider are drawn from `0 .. high - 1`, where `high` is small. int8 and uint8 are quantities (pixels)
and take their whole range. Booleans are drawn evenly. In `zeros` masks and lengths of zero would make everything NaN:
integers (int16 and wider) and booleans are one there.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mnncompat.parity.runners import InputSpec

DRAWS = ("normal", "uniform", "negative", "zeros", "large")
"""Names of the draws."""
GIVEN = "given"
"""Name of the draw when the user gave every input."""
CONSTANT = "constant"
"""Name of the draw of a model without inputs."""
_LARGE, _CUT = 16.0, 80.0

_FLOATS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "uniform": lambda random, shape: random.random(shape),
    "negative": lambda random, shape: -np.abs(random.standard_normal(shape)),
    "zeros": lambda _, shape: np.zeros(shape),
    "large": lambda random, shape: np.clip(_LARGE * random.standard_normal(shape), -_CUT, _CUT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFeeds:
    """One draw.

    Attributes:
        name: Its name in reports: the draw, and the batch size when there are several.
        arrays: Input name -> array, in the declared dtype.
    """

    name: str
    arrays: dict[str, np.ndarray]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Input name -> shape."""
        return {name: array.shape for name, array in self.arrays.items()}


def draw_feeds(
    signature: Sequence[InputSpec],
    *,
    shapes: Mapping[str, tuple[int, ...]],
    inputs: Mapping[str, np.ndarray],
    seed: int,
    high: int = 2,
    draws: Sequence[str] = DRAWS,
    suffix: str = "",
) -> list[NamedFeeds]:
    """Draw all inputs.

    Args:
        signature: The inputs.
        shapes: Concrete shape of every input that `inputs` does not give.
        inputs: Arrays that the user gave; they are the same in every draw.
        seed: Two calls with the same arguments give the same arrays. Every input and draw has its own stream, so
            that adding an input does not change the others.
        high: Integers are drawn below it.
        draws: Names of the draws wanted.
        suffix: Added to the draws' names.

    Returns:
        The draws; a single one if every input is given.

    Raises:
        UsageError: An input of a type that cannot be drawn is not given.
    """
    free = [spec for spec in signature if spec.name not in inputs]
    if not free:
        draws = [GIVEN if signature else CONSTANT]
    return [
        NamedFeeds(
            name=draw + suffix,
            arrays=dict(inputs) | {spec.name: _drawn(spec, shapes[spec.name], draw, seed, high) for spec in free},
        )
        for draw in draws
    ]


def is_index(spec: InputSpec) -> bool:
    """Whether an input holds integers that are more likely indices or lengths than quantities."""
    return spec.dtype is not None and spec.dtype.kind in "iu" and spec.dtype.itemsize > 1


def _drawn(spec: InputSpec, shape: tuple[int, ...], draw: str, seed: int, high: int) -> np.ndarray:
    if spec.dtype is None:
        raise UsageError(
            f"input {spec.name!r} is of a type that cannot be drawn at random",
            hint="only tensors of floats, integers and booleans can be fed",
        )
    random = np.random.default_rng([seed, zlib.crc32(spec.name.encode()), DRAWS.index(draw)])
    if spec.dtype.kind == "f":
        values = _FLOATS[draw](random, shape)
    elif spec.dtype.itemsize == 1 and spec.dtype.kind != "b":
        limits = np.iinfo(spec.dtype)
        values = np.zeros(shape) if draw == "zeros" else random.integers(limits.min, limits.max + 1, shape)
    else:
        values = np.ones(shape) if draw == "zeros" else random.integers(0, 2 if spec.dtype.kind == "b" else high, shape)
    return np.asarray(values).astype(spec.dtype)
