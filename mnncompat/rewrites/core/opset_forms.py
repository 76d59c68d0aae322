"""Emit operators in the form that they have in the opset in force: attributes in old ones, inputs in new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnncompat.rewrites.core.node_emitter import NodeEmitter
from mnncompat.rewrites.core.values import NotApplicable, Value


class OpsetForms(NodeEmitter):
    """A `NodeEmitter` with a method for each operator whose form depends on the opset."""

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Reshape to `shape` (-1: what remains, 0: as it is)."""
        return self.op("Reshape", value, self.constant(list(shape)))

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        """Transpose."""
        return self.op("Transpose", value, perm=list(perm))

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """Concat; one value as it is."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def cast(self, value: Value, to: int) -> Value:
        """Cast to a `TensorProto.DataType`; a value of that type as it is."""
        return value if self.known_dtype(value.name) == to else self.op("Cast", value, to=to)

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Unsqueeze."""
        return self._over_axes("Unsqueeze", value, axes, 13)

    def squeeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Squeeze."""
        return self._over_axes("Squeeze", value, axes, 13)

    def reduce(self, op: str, value: Value, axes: Sequence[int], *, keepdims: bool = True) -> Value:
        """A reduction such as ``ReduceSum``; without axes nothing is reduced."""
        if not axes:
            return value
        since = 13 if op == "ReduceSum" else 18
        return self._over_axes(op, value, axes, since, keepdims=int(keepdims))

    def slice(
        self,
        value: Value,
        starts: Sequence[int],
        ends: Sequence[int],
        axes: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> Value:
        """Slice.

        Raises:
            NotApplicable: There are steps, and the opset (below 10) has none.
        """
        if self.opset >= 10:  # noqa: PLR2004 - since when they are inputs
            stepped = [] if steps is None else [self.constant(list(steps))]
            return self.op(
                "Slice",
                value,
                self.constant(list(starts)),
                self.constant(list(ends)),
                self.constant(list(axes)),
                *stepped,
            )
        if steps is not None and any(step != 1 for step in steps):
            raise NotApplicable(f"Slice has no steps in opset {self.opset}")
        return self.op("Slice", value, starts=list(starts), ends=list(ends), axes=list(axes))

    def pad(self, value: Value, pads: Sequence[int], number: float = 0.0) -> Value:
        """Pad with a number; `pads` begins with the starts of all axes."""
        if not any(pads):
            return value
        if self.opset >= 11:  # noqa: PLR2004 - since when they are inputs
            return self.op("Pad", value, self.constant(list(pads)), self.scalar(number, value), mode="constant")
        return self.op("Pad", value, mode="constant", pads=list(pads), value=float(number))

    def split(self, value: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        """Split into parts of the given sizes; one part as it is."""
        if len(sizes) == 1:
            return [value]
        if self.opset >= 13:  # noqa: PLR2004 - since when they are an input
            return self.ops("Split", value, self.constant(list(sizes)), count=len(sizes), axis=axis)
        return self.ops("Split", value, count=len(sizes), axis=axis, split=list(sizes))

    def clip(self, value: Value, low: float | None, high: float | None) -> Value:
        """Clip to a range; None for no bound."""
        if self.opset >= 11:  # noqa: PLR2004 - since when they are inputs
            bounds = [None if bound is None else self.scalar(bound, value) for bound in (low, high)]
            return self.op("Clip", value, *bounds)
        return self.op("Clip", value, min=low, max=high)

    def _over_axes(self, op: str, value: Value, axes: Sequence[int], since: int, **attributes: Any) -> Value:
        if self.opset >= since:
            return self.op(op, value, self.constant(list(axes)), **attributes)
        return self.op(op, value, axes=list(axes), **attributes)
