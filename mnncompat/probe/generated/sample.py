"""Random choices for one case: opset given, shapes, values, attributes and the form of each operand drawn."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from mnncompat.probe.generated import values
from mnncompat.probe.generated.model_generator import ModelGenerator
from mnncompat.probe.generated.schema import admitted, attribute_names, schema_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

CONSTANT = 0.75
"""How often an operand other than the first is a constant, unless the generator says otherwise."""
_CONSTANT_NODE = 0.15
_TYPED_DATA = 0.05
_OLD_STYLE = 0.5
_SYMBOLIC_BATCH = 0.06
_FED_PARAMETERS = 0.06
_MOST_ELEMENTS = 2048

_RANKS = {1: 1.0, 2: 3.0, 3: 3.0, 4: 5.0, 5: 1.0}
_BATCHES = {1: 7.0, 2: 3.0, 3: 1.0}
_DIMS = {1: 0.7, 2: 3.0, 3: 4.0, 4: 4.0, 5: 3.0, 6: 2.0, 7: 2.0, 8: 3.0, 16: 0.6}
_CHANNELS = {1: 1.0, 2: 1.0, 3: 3.0, 4: 3.0, 5: 1.0, 6: 1.5, 7: 1.0, 8: 4.0, 12: 1.0, 16: 2.0, 32: 0.5}

FLOATS = {"float32": 84.0, "float16": 12.0, "float64": 4.0}
"""How often a dtype is drawn for operators that compute on floating-point numbers only."""
NUMBERS = {"float32": 72.0, "float16": 8.0, "float64": 2.0, "int32": 7.0, "int64": 10.0, "uint8": 1.0}
"""How often a dtype is drawn for arithmetic."""
ANYTHING = {"float32": 70.0, "float16": 8.0, "int32": 6.0, "int64": 11.0, "bool": 3.0, "uint8": 2.0, "float64": 1.0}
"""How often a dtype is drawn for operators that move data."""


class Resample(Exception):  # noqa: N818 - it is a signal between a generator and the corpus, not an error
    """These choices do not fit together: sample again."""


class Sample(ModelGenerator):
    """What a generator receives: a seeded source of choices and the graph to build.

    A generator makes values in which a hazard shows whenever the form has it: comparisons see both signs, Round sees
    halves, a scatter that reduces sees duplicates. The outcome of a case then depends on its form, which a table
    can know, and not on chance. Values that a runtime operand does not have in practice (negative indices, open slice
    ends) do not occur here either; in constants they do, at times.

    Args:
        op: The op type under test.
        opset: The opset that was chosen for this case.
        random: The source of all choices.
        index: The number of the case among those of its operator: forms that must all occur are chosen by it.
    """

    def __init__(self, op: str, opset: int, random: np.random.Generator, index: int = 0) -> None:
        super().__init__(opset)
        self.op = op
        self.index = index
        self.random = random
        schema = schema_at(op, opset)
        if schema is None:
            raise Resample
        self.version: int = schema.since_version
        self.typed_data = self.chance(_TYPED_DATA)
        self.old_style = self.chance(_OLD_STYLE)
        self.symbolic_batch = self.chance(_SYMBOLIC_BATCH)
        self._fed_parameters = self.chance(_FED_PARAMETERS)

    # Choices

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.random.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all with the same probability."""
        return options[int(self.random.integers(len(options)))]

    def weighted(self, options: Mapping[T, float]) -> T:
        """One of the options, by weight."""
        bounds = list(accumulate(options.values()))
        return list(options)[min(bisect(bounds, self.random.random() * bounds[-1]), len(bounds) - 1)]

    def integer(self, low: int, high: int) -> int:
        """An integer, both bounds inclusive."""
        return int(self.random.integers(low, high + 1))

    def resample(self) -> NoReturn:
        """Abandon this attempt.

        Raises:
            Redraw: Always.
        """
        raise Resample

    # Shapes

    def rank(self, low: int = 1, high: int = 5) -> int:
        """A rank; images (4) are the most frequent."""
        return self.weighted({rank: weight for rank, weight in _RANKS.items() if low <= rank <= high})

    def dim(self, low: int = 1, high: int = 16) -> int:
        """A dimension."""
        return self.weighted({dim: weight for dim, weight in _DIMS.items() if low <= dim <= high})

    def batch(self) -> int:
        """A batch size, 1 most often."""
        return self.weighted(_BATCHES)

    def channels(self, high: int = 32) -> int:
        """A number of channels: multiples of MNN's packing of 4 as often as others."""
        return self.weighted({count: weight for count, weight in _CHANNELS.items() if count <= high})

    def shape(self, low: int = 1, high: int = 5, *, least: int = 1) -> tuple[int, ...]:
        """A shape: batch, channels, then free dimensions; rank between the bounds.

        Args:
            low: Smallest rank.
            high: Largest rank.
            least: Smallest dimension behind the batch.
        """
        rank = self.rank(low, high)
        if rank == 1:
            return (self.dim(max(least, 2)),)
        if rank == 0:
            return ()
        dims = [self.batch(), max(self.channels(), least), *(self.dim(least) for _ in range(rank - 2))]
        while np.prod(dims) > _MOST_ELEMENTS:
            widest = max(range(1, rank), key=dims.__getitem__)
            dims[widest] = max(dims[widest] // 2, least)
        return tuple(dims)

    def axis(self, rank: int, *, negative: float = 0.4) -> int:
        """An axis, negative with this probability, the last most often."""
        axis = rank - 1 if self.chance(0.4) else self.integer(0, rank - 1)
        return axis - rank if self.chance(negative) else axis

    def axes(self, rank: int, most: int | None = None, *, negative: float = 0.4) -> list[int]:
        """Distinct axes in ascending order, all negative with this probability."""
        count = self.integer(1, min(most or rank, rank))
        chosen = sorted(int(axis) for axis in self.random.permutation(rank)[:count])
        return [axis - rank for axis in chosen] if self.chance(negative) else chosen

    # Dtypes and values

    def dtype(self, weights: Mapping[str, float] = FLOATS, position: int = 0) -> np.dtype[Any]:
        """A dtype that the operator admits for its input at this position, by weight."""
        allowed = admitted(self.op, self.opset, position)
        options = {name: weight for name, weight in weights.items() if name in allowed}
        if not options:
            self.resample()
        return np.dtype(self.weighted(options))

    def normal(self, shape: Sequence[int], dtype: np.dtype[Any] | str = "float32", scale: float = 1.0) -> np.ndarray:
        """Values around zero: N(0, scale); integers from -9 to 9 (unsigned: 0 to 9); booleans evenly."""
        return values.normal(self.random, tuple(shape), np.dtype(dtype), scale)

    def uniform(
        self, shape: Sequence[int], low: float, high: float, dtype: np.dtype[Any] | str = "float32"
    ) -> np.ndarray:
        """Values evenly from a range; integers include the upper bound."""
        return values.uniform(self.random, tuple(shape), np.dtype(dtype), low, high)

    def distinct(self, shape: Sequence[int], dtype: np.dtype[Any] | str = "float32") -> np.ndarray:
        """Values that differ from each other by 1/64 (integers by one), in random order."""
        return values.distinct(self.random, tuple(shape), np.dtype(dtype))

    # Operands and attributes

    def constant(self, array: np.ndarray, stem: str = "w") -> str:
        """Add a constant: an initializer, or the output of a Constant node."""
        return self.constant_node(array, stem) if self.chance(_CONSTANT_NODE) else self.initializer(array, stem)

    def operand(self, array: np.ndarray, stem: str = "w", *, constant: float = CONSTANT) -> str:
        """Add an operand: a constant with this probability, else a graph input."""
        return self.constant(array, stem) if self.chance(constant) else self.input(array, stem)

    def parameter(self, array: np.ndarray, stem: str = "w") -> str:
        """Add a weight, bias or statistic: constant, but for one model in sixteen, where each may be fed."""
        return self.operand(array, stem, constant=0.4 if self._fed_parameters else 1.0)

    def integers(self, items: Sequence[int] | int, stem: str = "sizes", *, constant: float = 0.95) -> str:
        """Add an int64 operand that says sizes, axes and the like: a constant, but for a few."""
        return self.operand(np.array(items, dtype=np.int64), stem, constant=constant)

    def attributes(self, absent: float = 0.3, **options: Sequence[Any]) -> dict[str, Any]:
        """Attributes, each absent with this probability, else one of its options.

        Those that the operator does not have at this opset are left out.
        """
        known = attribute_names(self.op, self.opset)
        return {
            name: self.pick(choices) for name, choices in options.items() if name in known and not self.chance(absent)
        }

    def emit(self, *inputs: str, outputs: Sequence[str] | int = 1, **attributes: Any) -> list[str]:
        """Add the node under test."""
        return self.node(self.op, inputs, outputs, **attributes)
