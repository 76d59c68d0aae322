"""Build the replacement of a node, before anything is edited.

A `SubgraphBuilder` is a list of new nodes and constants. Emitting them does not change the graph, so that a rewrite can
still refuse half way; `SubgraphBuilder.write` then puts it into the graph. Every node is checked against the opset in
force: the methods for operators whose form depends on the opset (`unsqueeze`, `reduce`, ...) write the form that it
    has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from onnx import NodeProto, helper

from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.value_names import rename_captured
from mnncompat.rewrites.core.opset_forms import OpsetForms
from mnncompat.rewrites.core.values import NotApplicable, Value
from mnncompat.support.node_facts import NodeFacts

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.graph.protos import Dim

__all__ = ["NotApplicable", "SubgraphBuilder", "Value"]


class SubgraphBuilder(OpsetForms):
    """The nodes that will replace one node.

    Args:
        node: The node to replace.
    """

    def __init__(self, node: NodeFacts) -> None:
        super().__init__(node)
        self._results: list[str] = []

    def finish(self, results: Value | Sequence[Value | None]) -> Self:
        """State which values replace the node's outputs.

        Args:
            results: In the order of the outputs; None for an unused output, which may be left out at the end.

        Raises:
            NotApplicable: An output that is used has no value.
        """
        values = [results] if isinstance(results, Value) else list(results)
        for position, output in enumerate(self.node.node.output):
            value = values[position] if position < len(values) else None
            if value is None and output and self.is_output_used(position):
                raise NotApplicable(f"output {position} '{output}' is used")
            self._results.append("" if value is None or not output else value.name)
        self._emitted.drop_dead(self._results)
        return self

    def result_shapes(self) -> list[tuple[Dim, ...] | None]:
        """What is known of the shapes of the values that replace the outputs; after `finish`."""
        return [self.known_shape(name) if name else None for name in self._results]

    def objection(self) -> str | None:
        """What ONNX objects to in the replacement, in one line; None if it does not, or cannot be asked.

        Shapes that the model states of the results do not count: runtimes tell them where they are wrong, and go on.
        """
        view, stated = self.node.view, []
        for result, output in zip(self._results, self.node.node.output, strict=True):
            dtype = view.dtype(output) if output and self._emitted.computes(result) else None
            if dtype is not None:
                stated.append(helper.make_tensor_value_info(result, dtype, None))
        return self._emitted.objection(stated)

    def write(self, editor: GraphEditor, index: int) -> None:
        """Replace the node at `index` of the graph under edit."""
        outputs = self.node.node.output
        names: dict[str, str] = {}
        aliases: list[tuple[str, str]] = []
        for result, output in zip(self._results, outputs, strict=True):
            if result and self._emitted.computes(result) and result not in names:
                names[result] = output
            elif result:
                aliases.append((result, output))
        editor.remove(index)
        names |= {name: editor.constant(name, array).name for name, array in self.constants.items()}
        emitted = [name for node in self.nodes for name in node.output if name and name not in names]
        names |= {name: editor.unique(name) for name in emitted}
        kept = self.node.node.name
        for node in self.nodes:
            proto = NodeProto()
            proto.CopyFrom(node)
            proto.input[:] = [names.get(name, name) for name in node.input]
            proto.output[:] = [names.get(name, name) for name in node.output]
            proto.name = node.name if node.name in ("", kept) else editor.unique(node.name)
            kept = "" if node.name == kept else kept  # the second one emitted by `clone_node` gets a name of its own
            for _, graph in subgraphs(proto):
                rename_captured(graph, names)
            editor.insert_proto(index, proto)
        for source, output in aliases:
            label = editor.unique(f"{output}_identity")
            proto = helper.make_node("Identity", [names.get(source, source)], [output], name=label)
            if source in self.constants:
                array = self.constants[source]
                tensor = array_tensor(np.ascontiguousarray(array).reshape(array.shape))
                proto = helper.make_node("Constant", [], [output], name=label, value=tensor)
            editor.insert_proto(index, proto)
