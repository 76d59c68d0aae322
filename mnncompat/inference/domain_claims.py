"""What is followed of an input, and what a node says about it; see `mnncompat.inference.input_domains`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from numpy.typing import NDArray
from onnx import NodeProto

from mnncompat.graph.view import GraphView
from mnncompat.inference.shape_propagation import Shape


class Kind(StrEnum):
    """What the values of an input are."""

    IDS = "ids"
    """They select rows of a table, or elements along an axis."""
    MASK = "mask"
    """0 and 1."""
    LENGTH = "lengths"
    """Steps of a sequence that count, from 1 on."""
    COUNT = "count"
    """How often something is done, from 0 on."""
    SIZE = "sizes"
    """Sizes of what is computed."""
    PIXELS = "pixels"
    """Whole numbers of an image that is normalised by the model."""
    TIMESTEP = "timesteps"
    """Positions on a time scale, of which sine and cosine are taken."""
    PROBABILITY = "probabilities"
    """Floating-point numbers from 0 to 1."""
    STATE = "states"
    """What an earlier run left: zeros at first."""
    BOUNDED = "numbers within bounds"
    """Floating-point numbers."""
    NUMBERS = "numbers"
    """Floating-point numbers without bounds."""
    INTEGERS = "integers"
    """Whole numbers of which nothing is known."""
    THRESHOLD = "thresholds"
    """No kind of values, but single ones that matter."""


class Use(NamedTuple):
    """A value that depends on an input alone: ``scale * input + offset``, with offsets from `least` to `most`.

    Attributes:
        value: Its name.
        scale: Factor.
        least: Least offset.
        most: Largest offset.
        is_clipped: It was cut on the way, so that what is asked of it holds for any input.
    """

    value: str
    scale: float = 1.0
    least: float = 0.0
    most: float = 0.0
    is_clipped: bool = False

    @property
    def is_plain(self) -> bool:
        """True for the input itself."""
        return (self.scale, self.least, self.most) == (1.0, 0.0, 0.0)


class Claim(NamedTuple):
    """What a node asks of an input.

    Attributes:
        kind: What its values are.
        low: Least value.
        high: Largest value.
        reason: The node in words.
        values: Single values that matter.
        exact: What they are near to, which integers can be.
        is_clipped: Values beyond the bounds are cut on the way.
        is_weak: It holds only where nothing reads the input as a number.
        step: Distance of two values that the node tells apart; below 1 for ids that are multiplied first.
    """

    kind: Kind
    low: float
    high: float
    reason: str
    values: tuple[float, ...] = ()
    exact: tuple[float, ...] = ()
    is_clipped: bool = False
    is_weak: bool = False
    step: float = 1.0


class Reading(NamedTuple):
    """A node that reads a followed value.

    Attributes:
        view: The graph of the node.
        node: The node.
        position: Which of its operands it is.
        use: The value.
        shapes: Of the main graph's values.
        sizes: Of the dynamic dimensions.
    """

    view: GraphView
    node: NodeProto
    position: int
    use: Use
    shapes: Mapping[str, Shape | None]
    sizes: Mapping[str, int]

    def shape(self, name: str) -> list[int | None] | None:
        """Sizes of a value with the dynamic dimensions in place; None for an unknown rank."""
        shape = self.shapes.get(name)
        if shape is None:
            known = self.view.shape(name)
            return None if known is None else [dim if isinstance(dim, int) else None for dim in known]
        try:
            return [None if size is None else size.evaluate(self.sizes) for size in shape]
        except (KeyError, ZeroDivisionError):
            return None

    def constant(self, position: int) -> NDArray[Any] | None:
        """A constant operand of numbers, None if it is none."""
        name = self.node.input[position] if position < len(self.node.input) else ""
        value = self.view.stored_value(name) if name else None
        return value if value is not None and value.size and value.dtype.kind in "biuf" else None

    def passed(self, position: int = 0) -> Iterator[Use]:
        """The value as it is, in an output."""
        yield self.use._replace(value=self.node.output[position])

    def claim(self, kind: Kind, low: float, high: float, reason: str) -> Iterator[Claim]:
        """A claim about the read value, told of the input; what is cut on the way needs no bounds."""
        scale, least, most = self.use.scale, self.use.least, self.use.most
        if not scale or (self.use.is_clipped and kind is Kind.BOUNDED):
            return
        if self.use.is_plain:
            yield Claim(kind, low, high, reason, is_clipped=self.use.is_clipped)
            return
        ends = ((low - least) / scale, (high - most) / scale)
        step = 1 / max(abs(scale), 1.0)
        yield Claim(kind, min(ends), max(ends), reason, is_clipped=self.use.is_clipped, step=step)

    def words(self, position: int) -> str:
        """Operator and operand: ``Gather of word [500, 16]``."""
        name = self.node.input[position]
        shape = self.shape(name)
        sizes = "" if shape is None else f" [{', '.join('?' if size is None else str(size) for size in shape)}]"
        return f"{self.node.op_type} of {name}{sizes}"
