"""Loss functions decomposed, with a weight for every class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.tensor_values import array_tensor
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.normalization.softmax_axis import SINGLE_AXIS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_PARTS = "LogSoftmax, NegativeLogLikelihoodLoss"


class LossParts(NodeRewrite):
    """Write SoftmaxCrossEntropyLoss as LogSoftmax and NegativeLogLikelihoodLoss, and give classes a weight of one.

    **What.** SoftmaxCrossEntropyLoss; NegativeLogLikelihoodLoss with ``ignore_index`` and a mean over what is not
    ignored.

    **Why.** MNN takes the logarithm of the softmax: where scores are more than 87 apart, that is of zero, and the loss
    is NaN. It has no second output. Without weights it takes the mean over all elements, the ignored ones included.

    **Before and after**::

        loss, log_prob = SoftmaxCrossEntropyLoss(scores, labels)
        log_prob = LogSoftmax<axis = 1>(scores)
        loss = NegativeLogLikelihoodLoss(log_prob, labels)

        loss = NegativeLogLikelihoodLoss<ignore_index = 3>(x, labels)
        loss = NegativeLogLikelihoodLoss<ignore_index = 3>(x, labels, [1, 1, 1, 1])

    **Algebra.** The definitions. With weights the mean is divided by the sum of the weights that count.

    **Source.** https://onnx.ai/onnx/operators/onnx__SoftmaxCrossEntropyLoss.html
    """

    code = "MNN831"
    name = "loss-parts"
    summary = "its softmax and weights are written out"
    op_types = ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Emit the parts."""
        scores, labels = new.input(0), new.input(1)
        weights = new.input(2) if new.has(2) else None
        if weights is None and node.given("ignore_index") and node.attribute("reduction") == "mean":
            weights = _ones(new, scores)
        if node.node.op_type == "NegativeLogLikelihoodLoss":
            return [new.clone_node(scores, labels, weights)[0]]
        logarithms = _log_softmax(new, scores)
        (loss,) = new.clone_node(logarithms, labels, weights, op="NegativeLogLikelihoodLoss", outputs=1)
        return [loss, logarithms]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Scores, ignored labels, a second output by opset, a dynamic number of classes; a loss without the hazard."""
        labels = np.array([0, 2, 1], np.int64)
        grid = np.arange(12).reshape(3, 4) % 5
        return (
            rewritten(
                "ignored",
                "(float[3,5] x) => (float y) { y = NegativeLogLikelihoodLoss<ignore_index=2>(x, t) }",
                becomes="NegativeLogLikelihoodLoss",
                t=labels,
            ),
            rewritten(
                "ignored, positions",
                "(float[3,5,4] x) => (float y) { y = SoftmaxCrossEntropyLoss<ignore_index=2>(x, t) }",
                becomes=_PARTS,
                t=grid,
            ),
            rewritten(
                "scores",
                "(float[3,5] x) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }",
                becomes=_PARTS,
                t=labels,
            ),
            *_with_logarithms(grid),
            rewritten(
                "open number of classes",
                "(float[3,C] x) => (float y) { p = Exp(x) y = NegativeLogLikelihoodLoss<ignore_index=1>(p, t) }",
                becomes="ConstantOfShape, Exp, NegativeLogLikelihoodLoss, Shape, Slice",
                t=np.array([0, 0, 1], np.int64),
            ),
            unchanged("plain", "(float[3,5] x) => (float y) { y = NegativeLogLikelihoodLoss(x, t) }", t=labels),
        )


def _with_logarithms(grid: NDArray[np.int64]) -> tuple[Example, ...]:
    """Examples whose second output is read."""
    return (
        rewritten(
            "second output",
            """(float[3,5,4] x) => (float[3,4] y, float[3,5,4] p) {
            y, p = SoftmaxCrossEntropyLoss<reduction="none">(x, t) }""",
            becomes=_PARTS,
            t=grid,
        ),
        rewritten(
            "second output, weights, opset 12",
            "(float[3,5,4] x) => (float y, float[3,5,4] p) { y, p = SoftmaxCrossEntropyLoss(x, t, varw) }",
            becomes=f"{_PARTS}, 2 Transpose",
            opset=12,
            t=grid,
            varw=(5,),
        ),
    )


def _log_softmax(new: SubgraphBuilder, x: Value) -> Value:
    """Along axis 1; below opset 13 that must be the last one."""
    if new.opset >= SINGLE_AXIS:
        return new.op("LogSoftmax", x, axis=1)
    last = [0, *range(2, x.rank), 1]
    first = [0, x.rank - 1, *range(1, x.rank - 1)]
    return new.transpose(new.op("LogSoftmax", new.transpose(x, last), axis=x.rank - 1), first)


def _ones(new: SubgraphBuilder, scores: Value) -> Value:
    """A weight of one for every class."""
    dims = new.known_shape(scores.name)
    if dims is not None and isinstance(dims[1], int):
        return new.constant(np.ones(dims[1], scores.element))
    classes = new.slice(new.op("Shape", scores), [1], [2], [0])
    return new.op("ConstantOfShape", classes, value=array_tensor(np.ones(1, scores.element)))
