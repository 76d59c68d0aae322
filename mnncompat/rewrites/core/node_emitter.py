"""Emit nodes and constants that may replace a node; the graph is not edited yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper

from mnncompat.graph.protos import Dim
from mnncompat.graph.tensor_values import tensor_array
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import rename_captured
from mnncompat.graph.view import GraphView
from mnncompat.rewrites.core.emitted_values import EmittedValues
from mnncompat.rewrites.core.values import NotApplicable, Operand, Value
from mnncompat.support.node_facts import NodeFacts


class NodeEmitter:
    """Nodes and constants, emitted one after the other; every node is checked against the opset in force.

    Args:
        node: The node to replace.

    Attributes:
        node: The node to replace.
    """

    def __init__(self, node: NodeFacts) -> None:
        self.node = node
        self._emitted = EmittedValues(node)
        self._counts: dict[str, int] = {}
        self._pool: dict[tuple[Any, ...], str] = {}

    @property
    def nodes(self) -> list[NodeProto]:
        """What was emitted so far, in topological order."""
        return self._emitted.nodes

    @property
    def constants(self) -> dict[str, NDArray[Any]]:
        """New constants by name."""
        return self._emitted.constants

    @property
    def opset(self) -> int:
        """Version of ONNX's own domain in force."""
        return self.node.opset

    def has(self, position: int) -> bool:
        """True if the node has an input there."""
        return self.node.operand(position) is not None

    def is_output_used(self, position: int) -> bool:
        """True if the output at that position is used: by a node, by a nested graph, or as an output of the graph."""
        name, view = self.node.result(position), self.node.view
        return name is not None and (name in view.consumers or view.is_external_use(name))

    def input(self, position: int) -> Value:
        """The node's input.

        Raises:
            NotApplicable: The input is left out.
        """
        name = self.node.operand(position)
        if name is None:
            raise NotApplicable(f"input {position} is left out")
        return Value(self, name)

    def inputs(self) -> list[Value]:
        """All inputs of the node that are not left out."""
        return [Value(self, name) for name in self.node.node.input if name]

    def integers(self, position: int) -> list[int]:
        """The elements of an input that must be constant.

        Raises:
            NotApplicable: It is left out or computed at run time.
        """
        return [int(each) for each in self.array(position).reshape(-1)]

    def array(self, position: int) -> NDArray[Any]:
        """The value of an input that must be constant.

        Raises:
            NotApplicable: It is left out or computed at run time.
        """
        value = self.input(position)
        constant = value.constant
        if constant is None:
            raise NotApplicable(f"input {position} '{value.name}' is computed at run time")
        return constant

    def value(self, name: str) -> Value:
        """A value of the graph that the node is in, or of this builder."""
        return Value(self, name)

    def constant(self, values: NDArray[Any] | Sequence[int], *, name: str = "") -> Value:
        """A new constant; lists of ints become int64. Equal ones are stored once.

        MNN reads stored bfloat16 as another type: such a constant is stored as float32 and cast like an operand.
        """
        array = np.asarray(values) if isinstance(values, (np.ndarray, np.generic)) else np.asarray(values, np.int64)
        key = (array.dtype.str, array.dtype.name, array.shape, array.tobytes())
        like = self._bfloat16_operand() if array.dtype.name == "bfloat16" else None
        if key not in self._pool and like is not None:
            self._pool[key] = self.op("CastLike", self.constant(array.astype(np.float32), name=name), like).name
        elif key not in self._pool:
            fresh = self._fresh(name or "constant")
            self.constants[fresh] = array
            self._pool[key] = fresh
        return Value(self, self._pool[key])

    def _bfloat16_operand(self) -> Value | None:
        """The first operand of the node that is bfloat16."""
        operands = (self.input(position) for position in range(len(self.node.node.input)) if self.has(position))
        is_defined = onnx.defs.has("CastLike", self.opset)
        return next((each for each in operands if is_defined and each.dtype == TensorProto.BFLOAT16), None)

    def scalar(self, number: float, like: Value) -> Value:
        """A number as a constant of rank 0, of the element type of another value."""
        return self.constant(np.asarray(number).astype(like.element))

    def like(self, value: Value, other: Operand) -> Value:
        """`other` as a value; numbers take the element type of `value`."""
        if isinstance(other, Value):
            return other
        if isinstance(other, (np.ndarray, np.generic)):
            return self.constant(np.asarray(other))
        return self.scalar(other, value)

    def op(self, op: str, *inputs: Operand | None, **attributes: Any) -> Value:
        """Emit a node of one output.

        Args:
            op: Op type.
            *inputs: Values, arrays, or numbers of the type of the first value; None leaves one out.
            **attributes: Those that are None are left out.

        Raises:
            NotApplicable: The opset has no such operator.
        """
        return self.ops(op, *inputs, count=1, **attributes)[0]

    def ops(self, op: str, *inputs: Operand | None, count: int, **attributes: Any) -> list[Value]:
        """Emit a node of `count` outputs; otherwise like `op`."""
        if not onnx.defs.has(op, self.opset):
            raise NotApplicable(f"ONNX opset {self.opset} has no {op}")
        names = self._operands(inputs, fewest=onnx.defs.get_schema(op, self.opset).min_input)
        stated = {name: value for name, value in attributes.items() if value is not None}
        outputs = [self._fresh(op.lower()) for _ in range(count)]
        self._emitted.add(helper.make_node(op, names, outputs, name=self._fresh(op.lower()), **stated))
        return [Value(self, name) for name in outputs]

    def clone_node(
        self, *inputs: Operand | None, op: str = "", outputs: int | None = None, **attributes: Any
    ) -> list[Value]:
        """Emit a copy of the node with other inputs (if any are given) or attributes; returns its outputs.

        Args:
            *inputs: All inputs; none for those that it has.
            op: Another op type; attributes that it does not have are not dropped.
            outputs: Another number of outputs.
            **attributes: New values; None removes one.
        """
        original = self.node.node
        proto = NodeProto()
        proto.CopyFrom(original)
        proto.op_type = op or original.op_type
        proto.domain = ""
        kept = [each for each in original.attribute if each.name not in attributes]
        stated = {name: value for name, value in attributes.items() if value is not None}
        made = helper.make_node(proto.op_type, [], [], **stated).attribute
        del proto.attribute[:]
        proto.attribute.extend([*kept, *made])
        if inputs:
            proto.input[:] = self._operands(inputs)
        count = len(original.output) if outputs is None else outputs
        del proto.output[:]
        proto.output.extend(self._fresh(proto.op_type.lower()) for _ in range(count))
        self._emitted.add(proto)
        return [Value(self, name) for name in proto.output]

    def splice(self, nodes: Sequence[NodeProto], bindings: Mapping[str, Value]) -> dict[str, Value]:
        """Emit copies of nodes, such as a function's body.

        Args:
            nodes: In topological order. Values that they compute get new names; nested graphs may read them.
            bindings: Values for the names that they read and do not compute. Names without a binding are values of the
                graph that the node is in.

        Returns:
            Every value that they compute, by its name in `nodes`.
        """
        known = dict(bindings)
        for node in nodes:
            proto = NodeProto()
            proto.CopyFrom(node)
            outputs = [self._fresh(name) if name else "" for name in node.output]
            names = {name: value.name for name, value in known.items()}
            proto.input[:] = [names.get(name, name) for name in node.input]
            proto.output[:] = outputs
            proto.name = self._fresh(node.name or node.op_type.lower())
            for _, graph in subgraphs(proto):
                rename_captured(graph, names)
            known |= {name: Value(self, new) for name, new in zip(node.output, outputs, strict=True) if name}
            self._emitted.add(proto)
        return {name: value for name, value in known.items() if name not in bindings}

    def inline(self, graph: GraphProto, inputs: Sequence[Value]) -> list[Value]:
        """Emit the nodes of a nested graph.

        Args:
            graph: It may read values of the graph that the node is in.
            inputs: Values for its inputs, in order; inputs beyond these must also be initializers.

        Returns:
            Its outputs.
        """
        bindings = {each.name: self.constant(tensor_array(each)) for each in graph.initializer}
        bindings |= {info.name: value for info, value in zip(graph.input, inputs, strict=False)}
        values = bindings | self.splice(graph.node, bindings)
        return [values.get(info.name) or Value(self, info.name) for info in graph.output]

    def extract_nodes(self, begin: int) -> list[NodeProto]:
        """Remove and return the nodes from index `begin` on, to use them elsewhere, such as in the body of a loop."""
        return self._emitted.take(begin)

    def known_dtype(self, name: str) -> int | None:
        """Element type of a value of the graph or of the builder, None if unknown."""
        return self._emitted.dtype(name)

    def known_shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value of the graph or of the builder, None if not even the rank is known."""
        return self._emitted.shape(name)

    def known_constant(self, name: str) -> NDArray[Any] | None:
        """Value of a constant of the graph or of the builder."""
        return self._emitted.constant(name)

    def _operands(self, operands: Sequence[Operand | None], *, fewest: int = 0) -> list[str]:
        """Names of operands; those that are left out at the end are not named, but for as many as there must be."""
        first = next((each for each in operands if isinstance(each, Value)), None)
        names = [self._operand(first, each) for each in operands]
        while len(names) > fewest and not names[-1]:
            names.pop()
        return names

    def _operand(self, first: Value | None, operand: Operand | None) -> str:
        if operand is None:
            return ""
        if isinstance(operand, (Value, np.ndarray, np.generic)):
            return self.like(cast("Value", first), operand).name
        if first is None:
            raise TypeError("a number takes the type of another operand, and there is none")
        return self.like(first, operand).name

    def _fresh(self, label: str) -> str:
        """A name that is not used in this builder or its graph; `write` makes it unique in the model."""
        base = f"{self.node.node.name or next(filter(None, self.node.node.output), 'node')}/{label}"
        while True:
            self._counts[base] = self._counts.get(base, 0) + 1
            name = base if self._counts[base] == 1 else f"{base}_{self._counts[base]}"
            if not _is_visible(self.node.view, name):
                return name


def _is_visible(view: GraphView | None, name: str) -> bool:
    """True if a name stands for a value of the graph, or of one around it."""
    while view is not None:
        if name in view.producers or name in view.initializers or any(name == each.name for each in _inputs(view)):
            return True
        view = view.parent
    return False


def _inputs(view: GraphView) -> Sequence[ValueInfoProto]:
    return view.graph.input if isinstance(view.graph, GraphProto) else ()
