"""Types and shapes of values while nodes are being emitted: ONNX's shape inference over the new nodes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, ValueInfoProto, helper

from mnncompat.graph.protos import Dim, dims_of, is_onnx
from mnncompat.graph.tensor_values import array_tensor, data_type_of
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import captured
from mnncompat.inference.negative_sizes import guard_slices
from mnncompat.support.node_facts import NodeFacts


class EmittedValues:
    """The emitted nodes and constants, and the types and shapes of what they compute.

    Args:
        node: The node to replace, whose graph the new nodes read.

    Attributes:
        nodes: What was emitted so far, in topological order.
        constants: New constants by name.
    """

    def __init__(self, node: NodeFacts) -> None:
        self._node = node
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._computed: set[str] = set()
        self._known: dict[str, ValueInfoProto] = {}
        self._seen = 0  # of `nodes`: those that `_known` tells about
        self._whole = 0  # of `nodes`: those that were inferred together

    def computes(self, name: str) -> bool:
        """True if one of the emitted nodes computes the value."""
        return name in self._computed

    def add(self, node: NodeProto) -> None:
        """Emit a node after the others."""
        self.nodes.append(node)
        self._computed.update(filter(None, node.output))

    def take(self, begin: int) -> list[NodeProto]:
        """Remove and return the nodes from index `begin` on."""
        taken = self.nodes[begin:]
        del self.nodes[begin:]
        self._computed.difference_update(name for node in taken for name in node.output)
        self._seen = min(self._seen, begin)
        self._whole = min(self._whole, begin)
        return taken

    def drop_dead(self, results: Iterable[str]) -> None:
        """Remove nodes and constants that no result needs; nothing is emitted afterwards."""
        needed = set(results)
        kept: list[NodeProto] = []
        for node in reversed(self.nodes):
            if needed.intersection(filter(None, node.output)):
                kept.append(node)
                needed.update(node.input, *(captured(graph) for _, graph in subgraphs(node)))
        self.nodes = kept[::-1]
        self._seen = self._whole = len(kept)
        self.constants = {name: array for name, array in self.constants.items() if name in needed}

    def dtype(self, name: str) -> int | None:
        """Element type of a value of the graph or of the builder, None if unknown."""
        if name in self.constants:
            return data_type_of(self.constants[name].dtype)
        if name in self._computed:
            return self._emitted_dtype(name) or (self._emitted_dtype(name) if self._infer_whole() else None)
        return self._node.view.dtype(name)

    def shape(self, name: str) -> tuple[Dim, ...] | None:
        """Shape of a value of the graph or of the builder, None if not even the rank is known."""
        if name in self.constants:
            return self.constants[name].shape
        if name not in self._computed:
            return self._node.view.shape(name)
        shape = self._emitted_shape(name)
        if (shape is None or not all(map(_is_known_dim, shape))) and self._infer_whole():
            shape = self._emitted_shape(name)
        return shape

    def constant(self, name: str) -> NDArray[Any] | None:
        """Value of a constant of the graph or of the builder."""
        if name in self.constants:
            return self.constants[name]
        if name in self._computed:
            return None
        return self._node.constant_value(name)

    def _emitted_dtype(self, name: str) -> int | None:
        info = self._infer().get(name)
        return None if info is None else int(info.type.tensor_type.elem_type) or None

    def _emitted_shape(self, name: str) -> tuple[Dim, ...] | None:
        info = self._infer().get(name)
        return None if info is None else dims_of(info)

    def _infer(self) -> Mapping[str, ValueInfoProto]:
        """Types and shapes of the values emitted so far; only nodes emitted since the last call are inferred."""
        if self._seen < len(self.nodes):
            self._known |= self._inferred(self.nodes[self._seen :])
            self._seen = len(self.nodes)
        return self._known

    def _infer_whole(self) -> bool:
        """Infer all nodes together, which follows shape arithmetic from end to end; False if that was already done."""
        if self._whole == len(self.nodes):
            return False
        self._known = self._inferred(self.nodes)
        self._whole = self._seen = len(self.nodes)
        return True

    def objection(self, results: Iterable[ValueInfoProto]) -> str | None:
        """What ONNX objects to in the emitted nodes, in one line.

        Args:
            results: What is known of the values that replace the node's outputs, under the names of those values.

        Returns:
            The objection; None if there is none, or if nothing is known of the type of a value that is read.
        """
        opsets = [helper.make_opsetid("", self._node.opset)]
        context = onnx.checker.C.CheckerContext()
        context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": self._node.opset}
        plain = [node for node in self.nodes if is_onnx(node) and not any(subgraphs(node))]
        graph = self._graph(self.nodes)
        declared = {each.name for each in graph.input} | {each.name for each in graph.initializer}
        graph.output.extend([each for each in results if each.name not in declared])
        try:
            for node in plain:
                onnx.checker.check_node(node, context)
            if all(map(is_onnx, self.nodes)) and declared.issuperset(self._read(self.nodes)):
                model = helper.make_model(graph, opset_imports=opsets)
                onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except (RuntimeError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            return " ".join(str(error).split())
        return None

    def _inferred(self, nodes: Sequence[NodeProto]) -> dict[str, ValueInfoProto]:
        """Types and shapes of the results of nodes; those of the values that they only read are already known."""
        model = helper.make_model(self._graph(nodes), opset_imports=[helper.make_opsetid("", self._node.opset)])
        guard_slices(model)
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except (RuntimeError, onnx.shape_inference.InferenceError):
            inferred = model
        return {value.name: value for value in inferred.graph.value_info}

    def _graph(self, nodes: Sequence[NodeProto]) -> onnx.GraphProto:
        """The nodes, with what is known of the values that they only read."""
        graph = onnx.GraphProto(name="builder", node=nodes)
        for name in self._read(nodes):
            constant = self.constant(name)
            if constant is not None and constant.size <= 1024:  # noqa: PLR2004 - as in mnncompat.inference.shape_inference
                graph.initializer.append(array_tensor(np.asarray(constant), name))
            elif name in self._computed:
                graph.input.extend(filter(None, [self._known.get(name)]))
            elif dtype := self.dtype(name):
                graph.input.append(helper.make_tensor_value_info(name, dtype, self.shape(name)))
        return graph

    @staticmethod
    def _read(nodes: Sequence[NodeProto]) -> list[str]:
        """The values that nodes, or graphs inside them, read and do not compute."""
        computed = {name for node in nodes for name in node.output}
        names = (name for node in nodes for name in (*node.input, *_captured(node)))
        return [name for name in dict.fromkeys(names) if name and name not in computed]


def _captured(node: NodeProto) -> Iterable[str]:
    return (name for _, graph in subgraphs(node) for name in captured(graph))


def _is_known_dim(dim: Dim) -> bool:
    """True unless a dimension is unknown, or has a name that shape inference invented."""
    return dim is not None and not str(dim).startswith("unk__")
