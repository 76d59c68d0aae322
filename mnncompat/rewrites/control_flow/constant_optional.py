"""Operators on optional values whose presence is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class ConstantOptional(NodeRewrite):
    """Replace OptionalHasElement and OptionalGetElement where it is known whether there is an element.

    **What.** OptionalHasElement without an operand, of a tensor, or of the result of an Optional; OptionalGetElement of
    a tensor or of the result of an Optional of a tensor.

    **Why.** MNN has no optional values.

    **Before and after**::

        o = Optional(x); h = OptionalHasElement(o); y = OptionalGetElement(o)
        h = true; y = x

    **Algebra.** An operand that is a tensor is an element; an operand that is left out, or the result of an Optional
    without operand, has none.

    **Refuses** optional values that are inputs of the graph or come from other operators.

    **Source.** https://onnx.ai/onnx/operators/onnx__OptionalHasElement.html
    """

    code = "MNN941"
    name = "constant-optional"
    summary = "it is known whether there is an element"
    op_types = ("OptionalHasElement", "OptionalGetElement")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """A constant, or the element."""
        element = _element(node)
        if node.node.op_type == "OptionalHasElement":
            return new.constant(np.asarray(element is not None))
        if element is None:
            raise NotApplicable("there is no element")
        return new.value(element)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Tensors, and results of Optional."""
        return (
            rewritten(
                "optional of a tensor",
                "(float[2,3] x) => (float[2,3] y) { o = Optional(x) e = OptionalGetElement(o) y = Relu(e) }",
                becomes="Identity, Relu",
                opset=18,
            ),
            rewritten(
                "asked of a tensor",
                """(float[2,3] x) => (float[2,3] y) {
                h = OptionalHasElement(x) f = Cast<to = 1>(h) y = Mul(x, f) }""",
                becomes="Cast, Constant, Mul",
                opset=18,
            ),
            unchanged("no optional", "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }", opset=18),
        )


def _element(node: NodeFacts) -> str | None:
    """The tensor that is the operand's element, None if there is none.

    Raises:
        NotApplicable: It is not known whether there is an element.
    """
    name = node.operand(0)
    if name is None:
        return None
    producer = node.view.producer(name)
    if producer is not None and producer.op_type == "Optional":
        return next(iter(producer.input), "") or None
    if node.view.dtype(name) is None:
        raise NotApplicable(f"'{name}' is an optional value: only its producer knows whether there is an element")
    return name
