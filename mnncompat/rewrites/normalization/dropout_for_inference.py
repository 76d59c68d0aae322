"""Dropout that drops nothing, as Identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.tensor_values import array_tensor
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_MASK_OF_BOOL = 10


class DropoutForInference(NodeRewrite):
    """Replace Dropout by its operand, and its mask by ones.

    **What.** Dropout that is not in training mode, or drops with probability 0.

    **Why.** MNN has no mask, loses a Dropout between an input and an output of the graph, and ignores training mode.

    **Before and after**::

        y, mask = Dropout(x)
        y = Identity(x)
        mask = ConstantOfShape<value = true>(Shape(x))

    **Algebra.** Without training nothing is dropped.

    **Refuses** training with a probability above 0 or unknown: the result is random. Refuses a mask below opset
    10, which is not defined there.

    **Source.** https://onnx.ai/onnx/operators/onnx__Dropout.html
    """

    code = "MNN825"
    name = "dropout-for-inference"
    summary = "drops nothing: its operand is used"
    op_types = ("Dropout",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """The operand, and a mask if it is used."""
        _require_inference(node, new)
        x = new.input(0)
        if not new.is_output_used(1):
            return [x]
        if node.opset < _MASK_OF_BOOL:
            raise NotApplicable(f"opset {node.opset} does not say what the mask is without training")
        shape = new.known_shape(x.name)
        if shape is not None and all(isinstance(dim, int) for dim in shape):
            return [x, new.constant(np.ones(x.shape, np.bool_))]
        yes = array_tensor(np.ones(1, np.bool_))
        return [x, new.op("ConstantOfShape", new.op("Shape", x), value=yes)]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A mask, a graph of a single Dropout, no probability; and training."""
        return (
            rewritten(
                "mask",
                "(float[2,N] x) => (float[2,N] y, bool[2,N] m) { r = Relu(x) y, m = Dropout(r) }",
                becomes="ConstantOfShape, Identity, Relu, Shape",
            ),
            rewritten("alone", "(float[2,3] x) => (float[2,3] y) { y = Dropout(x) }", becomes="Identity"),
            rewritten(
                "probability 0",
                """(float[2,3] x) => (float[2,3] y) <float p = {0.0}, bool t = {1}> {
                r = Relu(x) d = Dropout(r, p, t) y = Neg(d) }""",
                becomes="Identity, Neg, Relu",
            ),
            refused(
                "training",
                "the result is random",
                """(float[2,3] x) => (float[2,3] y) <float p = {0.5}, bool t = {1}> {
                r = Relu(x) d = Dropout(r, p, t) y = Neg(d) }""",
            ),
            refused(
                "mask of opset 7",
                "does not say",
                "(float[2,3] x) => (float[2,3] y, float[2,3] m) { r = Relu(x) y, m = Dropout(r) }",
                opset=7,
            ),
            unchanged("between others", "(float[2,3] x) => (float[2,3] y) { r = Relu(x) d = Dropout(r) y = Neg(d) }"),
        )


def _require_inference(node: NodeFacts, new: SubgraphBuilder) -> None:
    if not new.has(2):
        return
    training = new.input(2).constant
    ratio = new.input(1).constant if new.has(1) else node.attribute("ratio")
    if training is not None and not training.any():
        return
    if ratio is None or np.asarray(ratio).any():
        raise NotApplicable(f"'{new.input(2).name}' puts it into training mode: the result is random")
