"""Nodes that a simulation adds to a model, in a form that every opset from 8 on has."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mnncompat.diagnosing.half_precision.arithmetic import LARGEST

_PREFIX = "mnncompat.low."
_AXES_AS_INPUT = {"ReduceSum": 13}
_OTHERS_AS_INPUT = 18


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
        return self._once("number", repr(value), lambda: self.constant(value))

    def rounded(self, value: str) -> str:
        """A float32 value rounded to float16; what is larger becomes infinite."""
        return self._once(
            "rounded",
            value,
            lambda: self.op("Cast", self.op("Cast", value, to=TensorProto.FLOAT16), to=TensorProto.FLOAT),
        )

    def capped(self, value: str, cap: float) -> str:
        """A value, at most `cap` in size."""
        return self.op("Max", self.op("Min", value, self.number(cap)), self.number(-cap))

    def read(self, value: str) -> str:
        """A float32 value as an op reads it that computes in float16."""
        return self._once("read", value, lambda: self.rounded(self.capped(value, LARGEST)))

    def noisy(self, value: str, scale: str) -> str:
        """A value with an error of this standard deviation added."""
        drawn = self.op("RandomNormalLike", value, dtype=TensorProto.FLOAT, seed=float(self._count))
        return self.op("Add", value, self.op("Mul", drawn, scale))

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
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def _once(self, kind: str, key: str, make: Any) -> str:
        found = self._kept.get((kind, key))
        if found is None:
            found = self._kept[kind, key] = make()
        return found
