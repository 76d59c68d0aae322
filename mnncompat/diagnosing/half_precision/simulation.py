"""One model that computes every value twice: as ONNX defines it, and as MNN does with `precision = low`.

A single run of it gives both, and of every value how far they are apart: no value inside the model is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from mnncompat.diagnosing.correspondence import reads
from mnncompat.diagnosing.half_precision.arithmetic import LARGEST, Arithmetics
from mnncompat.diagnosing.half_precision.emitting import Emitter
from mnncompat.diagnosing.half_precision.operators import Operators
from mnncompat.diagnosing.half_precision.products import Products
from mnncompat.graph.protos import dims_of, is_onnx
from mnncompat.graph.validation import subgraphs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mnncompat.graph.view import GraphView

_SIZES = frozenset(("Shape", "Size"))
_OF_DATA = frozenset(("NonZero", "Compress", "Unique", "NonMaxSuppression"))
"""Their results have sizes that depend on values: both computations go on with the exact one."""
STATISTICS = ("least", "most", "least low", "most low", "sum low", "error", "signal")
"""The last two are of a sample: what they are compared by is their quotient."""
_EXTREMES = ("ReduceMin", "ReduceMax")
_SAMPLE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A model to be run once.

    Attributes:
        model: It.
        low: Output of the original -> its name as MNN computes it.
        measured: Value of the original -> outputs with its statistics, in the order of `STATISTICS`.
    """

    model: ModelProto
    low: Mapping[str, str]
    measured: Mapping[str, tuple[str, ...]]


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
        self._nodes = list(proto.graph.node)
        self._shapes = _static(known)
        self._floats = {name for name, each in known.items() if each.type.tensor_type.elem_type == TensorProto.FLOAT}
        weights = {name: array for name in view.initializers if (array := view.stored_value(name)) is not None}
        self._shapes |= {name: array.shape for name, array in weights.items()}
        self._floats |= {name for name, array in weights.items() if array.dtype == np.float32}
        self._stored = stored
        self._constants = constants
        self._table = table
        self._emit = Emitter(proto, view.opset)
        self.products = Products(self._emit, table, self._shapes, weights)
        self._operators = Operators(self._emit, table, self._shapes, weights, self.products)
        self._low: dict[str, str] = {}
        self._rounded: set[str] = set()
        self._of_sizes: set[str] = set()

    def build(self) -> Simulation:
        """The simulation."""
        for node in self._nodes:
            self._append(node)
        measured = {
            name: self._statistics(name, low)
            for name, low in self._low.items()
            if self._is_stored(name) and name in self._floats and self._has_elements(name)
        }
        originals = [each.name for each in self._proto.graph.output]
        low = {name: self._low.get(name, name) for name in originals}
        shown = dict.fromkeys((*low.values(), *(each for names in measured.values() for each in names)))
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
        results = {name: self._emit.name() for name in node.output if name}
        kind = self._table.of(node.op_type) if is_onnx(node) and not subgraphs(node) else "float32"
        is_stored = any(self._is_stored(name) for name in results)
        inputs = [self._operand(name, kind, folded=not is_stored) for name in node.input]
        self._operators.append(node, kind, inputs, results, rounds=is_stored, renamed=self._low)
        for name, low in results.items():
            self._low[name] = low
            if not (kind == "float32" and is_stored):
                self._rounded.add(low)

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
        return self._emit.read(low)

    def _is_stored(self, name: str) -> bool:
        return self._stored is None or name in self._stored or name in self._view.outputs

    def _has_elements(self, name: str) -> bool:
        return 0 not in self._shapes.get(name, (0,))

    def _statistics(self, name: str, low: str) -> tuple[str, ...]:
        emit, shape = self._emit, self._shapes.get(name)
        right, found = (emit.capped(emit.sampled(each, shape, _SAMPLE), LARGEST) for each in (name, low))
        extremes = [emit.reduce(kind, each, None, keep=False) for each in (name, low) for kind in _EXTREMES]
        return (
            *extremes,
            emit.reduce("ReduceSum", low, None, keep=False),
            emit.reduce("ReduceSumSquare", emit.op("Sub", right, found), None, keep=False),
            emit.reduce("ReduceSumSquare", right, None, keep=False),
        )


def _static(known: Mapping[str, ValueInfoProto]) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, each in known.items():
        dims = dims_of(each) if each.type.tensor_type.HasField("shape") else None
        if dims is not None and all(isinstance(size, int) for size in dims):
            found[name] = tuple(size for size in dims if isinstance(size, int))
    return found
