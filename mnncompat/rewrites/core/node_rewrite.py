"""Rewrites of single nodes: remedies that rows of the table name."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mnncompat.errors import MnncompatError
from mnncompat.rewrites.core.base import Match, Refusal, Rewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.target import Target


class NodeRewrite(Rewrite):
    """Replaces a node with a hazard; a row of the table names the rewrite as its remedy.

    A subclass builds the replacement in `build`. The row states when the node has the hazard; the subclass checks only
    the preconditions under which the replacement equals the node.
    """

    is_remedy = True

    @abstractmethod
    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value | Sequence[Value | None]:
        """Emit nodes that compute the same as the node.

        Args:
            node: The node: attributes with defaults, operands, and the types, shapes and constants that the model
                states.
            new: Where to emit nodes.

        Returns:
            The values that replace the node's outputs, in order.

        Raises:
            NotApplicable: A precondition does not hold.
        """

    def note(self, node: NodeFacts) -> str:
        """How a node is rewritten, in one line."""
        return f"{node.node.op_type}: {self.summary}"

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield a match or a refusal for each node that a row names this rewrite for."""
        if view.is_function:
            return
        for index, _ in view.nodes_of(*self.op_types) if self.op_types else enumerate(view.nodes):
            if self.applies_to(view, index, target):
                yield self.match_node(view, index, target)

    def applies_to(self, view: GraphView, index: int, target: Target) -> bool:
        """True if a row of the table states a hazard of the node and names this rewrite as its remedy."""
        return any(match.row.remedy == self.name for match in target.hazards(view, index))

    def match_node(self, view: GraphView, index: int, target: Target) -> Match | Refusal:
        """Emit the replacement of one node, or refuse with a reason.

        A rewrite that fails refuses too, so that a defect in one takes nothing away from the others. The reason is
        what ONNX's inference or its reference evaluator objects to in the node; if that is nothing, the reason says
        that it is a defect. With MNNCOMPAT_TRACEBACK set, as in the fuzzer, the exception is raised then.
        """
        node = target.facts(view, index)
        builder = SubgraphBuilder(node)
        try:
            builder.finish(self.build(node, builder))
        except NotApplicable as refusal:
            return Refusal(rewrite=self.name, index=index, reason=str(refusal))
        except (MnncompatError, MemoryError):
            raise
        except Exception as error:
            objection = _objection(node)
            if objection is not None:
                return Refusal(rewrite=self.name, index=index, reason=objection)
            if os.environ.get("MNNCOMPAT_TRACEBACK"):
                raise
            reason = f"it failed, which is a bug in mnncompat: {type(error).__name__}: {error}"
            return Refusal(rewrite=self.name, index=index, reason=reason)
        disallowed = _disallowed(node, builder)
        if disallowed is not None:
            return Refusal(rewrite=self.name, index=index, reason=disallowed)
        notes = ((index, self.note(node)),)
        return Match(rewrite=self.name, nodes=frozenset((index,)), notes=notes, plan=builder)

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace the node."""
        (index,) = match.nodes
        match.plan.write(editor, index)


def _disallowed(node: NodeFacts, builder: SubgraphBuilder) -> str | None:
    """Why a node must stay as it is; what runtimes make of a node that ONNX does not allow, no replacement can tell."""
    from mnncompat.rewrites.core.node_validity import why_disallowed, why_invalid

    wrong = why_disallowed(node)
    replaced = None if wrong is not None else builder.objection()
    if replaced is not None:
        wrong = why_invalid(node)
        if wrong is not None and f"(op_type:{node.node.op_type}" in replaced:
            return None  # the node with other operands: ONNX Runtime takes some that ONNX's inference does not
    if wrong is not None:
        return f"ONNX does not allow the node: {wrong}"
    return None if replaced is None else f"ONNX does not allow its replacement: {replaced}"


def _objection(node: NodeFacts) -> str | None:
    from mnncompat.rewrites.core.node_validity import why_invalid, why_not_computed  # only where a rewrite failed

    invalid = why_invalid(node)
    if invalid is not None:
        return f"ONNX does not allow the node: {invalid}"
    failure = why_not_computed(node)
    return None if failure is None else f"ONNX's reference evaluator cannot compute the node: {failure}"
