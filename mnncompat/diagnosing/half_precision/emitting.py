"""Nodes that a simulation adds to a model, in a form that every opset from 8 on has."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mnncompat.diagnosing.half_precision.arithmetic import LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PREFIX = "mnncompat.low."
_AXES_AS_INPUT = {"ReduceSum": 13}
_OTHERS_AS_INPUT = 18
_CLIP_AS_INPUT = 11
_SAMPLE, _WIDTHS = 2048, (16, 4, 1)
_DRAWN_WHOLE = 1024
"""Elements up to which each gets a random number of its own."""


class Emitter:
    """Appends nodes and constants to a graph.

    Args:
        model: A model of its own; its nodes are kept.
        opset: Of ONNX's own operators.
    """

    def __init__(self, model: ModelProto, opset: int) -> None:
        self.graph = model.graph
        self.opset = opset
        self._count = 0
        self._kept: dict[tuple[str, str], str] = {}

    def name(self) -> str:
        """A name that the model does not have."""
        self._count += 1
        return f"{_PREFIX}{self._count}"

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of one output; returns its value."""
        output = self.name()
        self.graph.node.append(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))
        return output

    def append(self, node: NodeProto) -> None:
        """Append a node as it is."""
        self.graph.node.append(node)

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """A constant."""
        name = self.name()
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
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
        random = np.random.default_rng(self._count)
        if shape is None or 0 in shape:
            return [self.op("RandomNormalLike", value, dtype=TensorProto.FLOAT, scale=factor, seed=float(self._count))]
        if prod(shape) <= _DRAWN_WHOLE:
            return [self.constant(random.standard_normal(shape) * factor)]
        at = at or min(range(len(shape) + 1), key=lambda place: prod(shape[:place]) + prod(shape[place:]))
        numbers = random.standard_normal(shape[:at]).reshape(*shape[:at], *[1] * (len(shape) - at))
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
