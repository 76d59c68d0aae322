"""SequenceMap over a sequence whose elements are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import GraphProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts

_MOST_NODES = 2000


class UnrollSequenceMap(NodeRewrite):
    """Write the body of a SequenceMap once for every element.

    **What.** SequenceMap over sequences that SequenceConstruct makes.

    **Why.** MNN's converter does not declare SequenceMap. It has SequenceConstruct and SequenceAt.

    **Before and after**::

        s = SequenceConstruct(a, b); t = SequenceMap(s) {Relu}
        t = SequenceConstruct(Relu(a), Relu(b))

    **Algebra.** SequenceMap is defined by this repetition.

    **Refuses** sequences that are inputs of the graph or made by other operators, and more than 2,000 nodes.

    **Source.** https://onnx.ai/onnx/operators/onnx__SequenceMap.html
    """

    code = "MNN943"
    name = "unroll-sequence-map"
    summary = "its body is repeated for every element"
    op_types = ("SequenceMap",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the bodies."""
        body: GraphProto = node.attribute("body")
        first, *others = new.inputs()
        elements = _elements(node, new, first)
        if elements is None:
            raise NotApplicable(f"the elements of '{first.name}' are not known")
        if not 0 < len(elements) * len(body.node) <= _MOST_NODES:
            raise NotApplicable(f"{len(elements)} elements are too many, or none")
        rest = [_elements(node, new, value) or [value] * len(elements) for value in others]
        rows = [new.inline(body, [element, *row]) for element, *row in zip(elements, *rest, strict=True)]
        return [new.op("SequenceConstruct", *column) for column in zip(*rows, strict=True)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A constructed sequence with a tensor, with another sequence, and a sequence that another operator makes."""
        body = "body = each (float[2] e, float[2] t) => (float[2] r) { r = Add(e, t) }"
        return (
            rewritten(
                "constructed",
                f"""(float[2] a, float[2] b, float[2] t) => (float[4] y) {{
                s = SequenceConstruct(a, b) m = SequenceMap<{body}>(s, t) y = ConcatFromSequence<axis=0>(m) }}""",
                becomes="2 Add, ConcatFromSequence, SequenceConstruct",
                opset=17,
            ),
            rewritten(
                "two sequences",
                f"""(float[2] a, float[2] b) => (float[4] y) {{
                s = SequenceConstruct(a, b) u = SequenceConstruct(b, a)
                m = SequenceMap<{body}>(s, u) y = ConcatFromSequence<axis=0>(m) }}""",
                becomes="2 Add, ConcatFromSequence, SequenceConstruct",
                opset=17,
            ),
            refused(
                "made by another operator",
                "are not known",
                f"""(float[2] a, float[2] b, float[2] t) => (float[2] y) <int64 one = {{1}}> {{
                s = SequenceConstruct(a, b) i = SequenceErase(s, one) m = SequenceMap<{body}>(i, t)
                y = ConcatFromSequence<axis=0>(m) }}""",
                opset=17,
            ),
            unchanged("no sequence", "(float[2] x) => (float[2] y) { y = Relu(x) }", opset=17),
        )


def _elements(node: NodeFacts, new: SubgraphBuilder, sequence: Value) -> list[Value] | None:
    """The elements of a sequence; None if they are not known or the value is no sequence."""
    producer = node.view.producer(sequence.name)
    if producer is None or producer.op_type != "SequenceConstruct":
        return None
    return [new.value(name) for name in producer.input]
