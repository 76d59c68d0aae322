"""Nodes that a simulation adds to a model, in a form that every opset from 8 on has."""

from __future__ import annotations

from itertools import count
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper

from mnncompat.graph.tensor_values import array_tensor
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PREFIX = "mnncompat.low."
_AXES_AS_INPUT = {"ReduceSum": 13}
_OTHERS_AS_INPUT = 18
_CLIP_AS_INPUT = 11
_SAMPLE, _WIDTHS = 2048, (16, 4, 1)
_ROWS, _IMAGE = 32, 4
_DRAWN_WHOLE = 1024
"""Elements up to which each gets a random number of its own."""


class Emitter:
    """Appends nodes and constants to a graph.

    Args:
        graph: A graph of its own; its nodes are kept.
        opset: Of ONNX's own operators.
        numbers: For names.
        kept: What `once` made outside of the graph.
    """

    def __init__(
        self,
        graph: GraphProto,
        opset: int,
        *,
        numbers: Iterator[int] | None = None,
        kept: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self.graph = graph
        self.opset = opset
        self._numbers = count(1) if numbers is None else numbers
        self._kept = dict(kept or {})

    def branch(self, name: str) -> Emitter:
        """For a graph inside the graph, which reads its values."""
        return Emitter(GraphProto(name=name), self.opset, numbers=self._numbers, kept=self._kept)

    def name(self) -> str:
        """A name that the model does not have."""
        return f"{_PREFIX}{next(self._numbers)}"

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of one output; returns its value."""
        output = self.name()
        node = self.graph.node.add(op_type=op_type, name=output, input=inputs, output=(output,))
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        return output

    def append(self, node: NodeProto) -> None:
        """Append a node as it is."""
        self.graph.node.append(node)

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """A constant."""
        name = self.name()
        self.graph.initializer.append(array_tensor(np.asarray(value, dtype=dtype), name))
        return name

    def number(self, value: float) -> str:
        """A scalar, the same one each time."""
        return self.once("number", repr(value), lambda: self.constant(value))

    def rounded(self, value: str) -> str:
        """A float32 value rounded to float16; what is larger becomes infinite."""
        return self.once(
            "rounded",
            value,
            lambda: self.op("Cast", self.op("Cast", value, to=TensorProto.FLOAT16), to=TensorProto.FLOAT),
        )

    def capped(self, value: str, cap: float) -> str:
        """A value, at most `cap` in size."""
        if self.opset < _CLIP_AS_INPUT:
            return self.op("Clip", value, min=-cap, max=cap)
        return self.op("Clip", value, self.number(-cap), self.number(cap))

    def read(self, value: str) -> str:
        """A float32 value as an op reads it that computes in float16."""
        return self.once("read", value, lambda: self.rounded(self.capped(value, LARGEST)))

    def noisy(self, value: str, scales: Sequence[str], factor: float, shape: Sequence[int] | None, at: int = 0) -> str:
        """A value with a random error added.

        Args:
            value: The value.
            scales: Their product times `factor` is the standard deviation; each is broadcast to the value.
            factor: See `scales`.
            shape: Of the value; None if it is not known.
            at: The axis before which the numbers that are drawn are cut in two, see `_drawn`; 0 for the middle.
        """
        first, *others = *scales, *self._drawn(value, factor, shape, at)
        for each in others:
            first = self.op("Mul", first, each)
        return self.op("Add", value, first)

    def _drawn(self, value: str, factor: float, shape: Sequence[int] | None, at: int) -> list[str]:
        """Random numbers whose product has this deviation, and no correlation between elements.

        Of large values they are drawn along rows and along columns, which costs next to nothing.
        """
        seed = next(self._numbers)
        random = np.random.default_rng(seed)
        if shape is None or 0 in shape:
            return [self.op("RandomNormalLike", value, dtype=TensorProto.FLOAT, scale=factor, seed=float(seed))]
        if prod(shape) <= _DRAWN_WHOLE:
            return [self.constant(random.standard_normal(shape) * factor)]
        at = at or min(range(len(shape) + 1), key=lambda place: prod(shape[:place]) + prod(shape[place:]))
        numbers = random.standard_normal(shape[:at]).reshape(*shape[:at], *[1] * (len(shape) - at))
        numbers /= np.sqrt(np.square(numbers).mean())  # few numbers would be off by chance
        signs = random.choice([-1.0, 1.0], [shape[0], *[1] * (at - 1), *shape[at:]] if at else shape)
        return [self.constant(numbers * factor), self.constant(signs)]

    def reduce(self, op_type: str, value: str, axes: list[int] | None, *, keep: bool) -> str:
        """A reduction over axes, all of them for None."""
        if axes is None:
            return self.op(op_type, value, keepdims=int(keep))
        if self.opset >= _AXES_AS_INPUT.get(op_type, _OTHERS_AS_INPUT):
            return self.op(op_type, value, self.constant(axes, np.int64), keepdims=int(keep))
        return self.op(op_type, value, axes=axes, keepdims=int(keep))

    def sliced(self, value: str, axes: list[int], ends: list[int]) -> str:
        """The first elements along axes."""
        starts = [0] * len(axes)
        if self.opset < 10:  # noqa: PLR2004 - Slice got inputs there
            return self.op("Slice", value, axes=axes, starts=starts, ends=ends)
        operands = (self.constant(each, np.int64) for each in (starts, ends, axes))
        return self.op("Slice", value, *operands)

    def reshaped(self, value: str, shape: list[int]) -> str:
        """The same elements in another shape."""
        target = self.once("shape", repr(shape), lambda: self.constant(shape, np.int64))
        return self.op("Reshape", value, target)

    def chosen(self, value: str, axis: int, places: Sequence[int]) -> str:
        """The elements at places of an axis."""
        indices = self.once("places", repr(list(places)), lambda: self.constant(places, np.int64))
        return self.once("chosen", f"{value} {axis} {indices}", lambda: self.op("Gather", value, indices, axis=axis))

    def energy(self, value: str, shape: Sequence[int], axes: list[int]) -> str:
        """The mean of the squares along axes; of the third one of images a sample of rows."""
        part, sizes = value, list(shape)
        if len(shape) == _IMAGE and axes == [2, 3] and shape[2] > _ROWS:
            sizes[2] = _ROWS
            part = self.chosen(value, 2, [int(each) for each in np.linspace(0, shape[2] - 1, _ROWS)])
        share = self.number(1 / max(1, prod(sizes[axis] for axis in axes)))

        def mean() -> str:
            return self.op("Mul", self.reduce("ReduceSumSquare", part, axes, keep=False), share)

        return self.once("energy", f"{value} {axes}", mean)

    def extreme(self, value: str) -> str:
        """The largest absolute value."""
        least, most = (self.reach(kind, value) for kind in ("ReduceMin", "ReduceMax"))
        return self.once("extreme", value, lambda: self.op("Max", self.op("Neg", least), most))

    def reach(self, kind: str, value: str) -> str:
        """The smallest or largest element, computed once."""
        return self.once(kind, value, lambda: self.reduce(kind, value, None, keep=False))

    def sampled(self, value: str, shape: Sequence[int] | None) -> str:
        """Elements of a value, spread over it; all if its shape is not known."""
        if shape is None:
            return value
        width = next(each for each in _WIDTHS if prod(shape) % each == 0)
        rows, most = prod(shape) // width, _SAMPLE // width
        places = self.once("sample", repr(rows), lambda: self.constant(np.linspace(0, rows - 1, most), np.int64))
        return self.op("Gather", self.reshaped(value, [rows, width]), places)

    def is_new(self, kind: str, key: str) -> bool:
        """Whether `once` would make this."""
        return (kind, key) not in self._kept

    def once(self, kind: str, key: str, make: Callable[[], str]) -> str:
        """A value that is made once, by what it is and what it is made of."""
        found = self._kept.get((kind, key))
        if found is None:
            found = self._kept[kind, key] = make()
        return found
