"""One model that computes every value twice: as ONNX defines it, and as MNN does with `precision = low`.

A single run of it gives both, and of every value how far they are apart: no value inside the model is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from mnncompat.diagnosing.correspondence import reads
from mnncompat.diagnosing.half_precision.arithmetic import Arithmetics
from mnncompat.diagnosing.half_precision.emitting import Emitter
from mnncompat.diagnosing.half_precision.operators import Operators
from mnncompat.diagnosing.half_precision.products import Products
from mnncompat.diagnosing.half_precision.weights import Weights, in_half
from mnncompat.graph.protos import dims_of, is_onnx
from mnncompat.graph.validation import subgraphs
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mnncompat.graph.view import GraphView

_SIZES = frozenset(("Shape", "Size"))
_OF_DATA = frozenset(("NonZero", "Compress", "Unique", "NonMaxSuppression"))
"""Their results have sizes that depend on values: both computations go on with the exact one."""
_WHOLE = 2048
"""Elements up to which a value is looked at as it is; of others a sample."""


_INITIALIZERS_NEED_NO_INPUTS = 4
_ROUNDED_HERE = 1 << 16
"""Elements of a constant up to which it is rounded when the simulation is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The outputs of a simulation that tell of one value.

    Attributes:
        samples: Elements of it, as ONNX defines it and as MNN computes it, at the same places.
        extremes: Its smallest and its largest element; empty if the samples are all of it.
        total: The sum of all that MNN computes, which is finite if they are; empty if the samples are all of it.
    """

    samples: tuple[str, str]
    extremes: tuple[str, ...]
    total: str

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.samples, *self.extremes, *filter(None, (self.total,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A model to be run once.

    Attributes:
        model: It.
        low: Output of the original -> its name as MNN computes it.
        measured: Value of the original -> the outputs that tell of it.
    """

    model: ModelProto
    low: Mapping[str, str]
    measured: Mapping[str, Measured]


class Simulating:
    """Builds the simulation of one model for inputs of known shapes.

    Args:
        view: The main graph of the model.
        proto: The model with its weights; it is changed.
        known: Value -> what inference knows of it in this run.
        stored: The values that the converted file holds; those between them are not rounded. None for all.
        constants: Values that the converter computes.
        table: What the operators do.
    """

    def __init__(
        self,
        view: GraphView,
        proto: ModelProto,
        known: Mapping[str, ValueInfoProto],
        stored: Collection[str] | None,
        constants: Collection[str],
        table: Arithmetics,
    ) -> None:
        self._view = view
        self._proto = proto
        self._nodes = view.nodes
        del proto.graph.node[:]
        proto.ir_version = max(proto.ir_version, _INITIALIZERS_NEED_NO_INPUTS)
        self._shapes = _static(known)
        self._floats = {name for name, each in known.items() if each.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._weights = Weights(view, constants)
        stated = {name: array for name in view.initializers if (array := self._weights.get(name)) is not None}
        self._shapes |= {name: array.shape for name, array in stated.items()}
        self._floats |= {name for name, array in stated.items() if array.dtype == np.float32}
        self._stored = stored
        self._constants = constants
        self._table = table
        self._emit = Emitter(proto.graph, view.opset)
        self.products = Products(self._emit, table, self._shapes, self._weights)
        self._operators = Operators(self._emit, table, self._shapes, self._weights, self.products)
        self._low: dict[str, str] = {}
        self._rounded: set[str] = set()
        self._of_sizes: set[str] = set()

    def build(self) -> Simulation:
        """The simulation."""
        measured = {}
        for node in self._nodes:  # what is computed of a value follows it, so that memory is free again soon
            self._proto.graph.node.append(node)
            self._append(node)
            for name in filter(self._is_measured, () if self._copies(node) else node.output):
                measured[name] = self._statistics(name, self._low[name])
        originals = [each.name for each in self._proto.graph.output]
        low = {name: self._low.get(name, name) for name in originals}
        shown = dict.fromkeys((*low.values(), *(each for found in measured.values() for each in found.names)))
        self._proto.graph.output.extend(ValueInfoProto(name=name) for name in shown if name not in originals)
        del self._proto.graph.value_info[:]
        return Simulation(model=self._proto, low=low, measured=measured)

    def _append(self, node: NodeProto) -> None:
        """The node once more, as MNN computes it."""
        operands = [name for name in reads(node) if name not in self._constants]
        if all(name in self._constants for name in node.output if name):
            return
        if node.op_type in _SIZES or self._is_of_sizes(operands):
            self._of_sizes.update(node.output)
            return
        if node.op_type in _OF_DATA or not any(name in self._floats or name in self._low for name in reads(node)):
            return
        kind = self._table.of(node.op_type) if is_onnx(node) and not subgraphs(node) else "float32"
        is_stored = any(self._is_stored(name) for name in node.output if name)
        inputs = [self._operand(name, kind, folded=not is_stored) for name in node.input]
        results = self._operators.append(node, kind, inputs, rounds=is_stored, renamed=self._low)
        for name, low in results.items():
            self._low[name] = low
            if not (kind == "float32" and is_stored):
                self._rounded.add(low)

    def _copies(self, node: NodeProto) -> bool:
        """Whether a node only moves elements that are looked at where they are computed."""
        return self._table.of(node.op_type) == "copied" and len(node.input) == len(node.output) == 1

    def _is_of_sizes(self, operands: list[str]) -> bool:
        """Whether a node computes from sizes alone: MNN does that once, in float32."""
        return bool(operands) and all(name in self._of_sizes for name in operands)

    def _operand(self, name: str, kind: str, *, folded: bool) -> str:
        """An operand as MNN reads it; the converter computes constants of a fused op in float32."""
        low = self._low.get(name, name)
        if folded and kind != "product" and (name in self._constants or name in self._of_sizes):
            return low
        if name not in self._floats or kind == "float32" or low in self._rounded or name in self._of_sizes:
            return low
        if kind == "product" and not self.products.is_rounded(name):
            return low
        weight = self._weights.get(name) if self._emit.is_new("read", low) else None
        if weight is None:
            return self._emit.read(low)
        if weight.size <= _ROUNDED_HERE:
            return self._emit.once("read", low, lambda: self._emit.constant(in_half(weight)))
        return (
            self._emit.once("read", low, lambda: self._emit.rounded(low))
            if np.abs(weight).max() <= LARGEST
            else self._emit.read(low)
        )

    def _is_stored(self, name: str) -> bool:
        return self._stored is None or name in self._stored or name in self._view.outputs

    def _is_measured(self, name: str) -> bool:
        has_elements = 0 not in self._shapes.get(name, (0,))
        return name in self._low and self._is_stored(name) and name in self._floats and has_elements

    def _statistics(self, name: str, low: str) -> Measured:
        emit, shape = self._emit, self._shapes.get(name)
        if shape is not None and prod(shape) <= _WHOLE:
            return Measured(samples=(name, low), extremes=(), total="")
        extremes = tuple(emit.reach(kind, name) for kind in ("ReduceMin", "ReduceMax"))
        samples = emit.sampled(name, shape), emit.sampled(low, shape)
        return Measured(samples=samples, extremes=extremes, total=emit.reduce("ReduceSum", low, None, keep=False))


def _static(known: Mapping[str, ValueInfoProto]) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, each in known.items():
        dims = dims_of(each) if each.type.tensor_type.HasField("shape") else None
        if dims is not None and all(isinstance(size, int) for size in dims):
            found[name] = tuple(size for size in dims if isinstance(size, int))
    return found
