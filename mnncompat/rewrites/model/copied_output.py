"""Outputs of the graph that are copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite

if TYPE_CHECKING:
    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts


class CopiedOutput(NodeRewrite):
    """Take a graph output from a copy of the node's result.

    **What.** BatchNormalization, Relu and Clip after a 3-D convolution, the results of which are graph outputs.

    **Why.** MNN merges them into the convolution, and keeps the convolution's name for the result: the output
    is not found when the model is loaded.

    **Before and after**::

        y = Relu(Conv(x, w))
        y = Identity(Relu(Conv(x, w)))

    **Algebra.** A copy.

    **Why this form.** MNN still merges the node, and the Identity computes the output of the graph.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/merge/Convolution3DTurn2D.cpp
    """

    code = "MNN944"
    name = "copied-output"
    summary = "the graph's output is a copy of its result"
    op_types = ("BatchNormalization", "Clip", "Relu")

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:  # noqa: ARG002
        """Emit the node and the copy."""
        return new.op("Identity", new.clone_node()[0])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Each operator, several of them, and nodes that are not merged or compute no output."""
        return (
            *_activations(),
            *_norms(),
            unchanged("LeakyRelu", f"{_SIGNATURE} {{ {_CONV} y = LeakyRelu(c) }}", w=_WEIGHT),
            unchanged("Sigmoid behind", f"{_SIGNATURE} {{ {_CONV} r = Relu(c) y = Sigmoid(r) }}", w=_WEIGHT),
            unchanged("read twice", f"{_SIGNATURE} {{ {_CONV} r = Relu(c) y = Add(r, c) }}", w=_WEIGHT),
            unchanged("2-D", "(float[1,2,5,6] x) => (float[1,3,4,5] y) { c = Conv(x, w) y = Relu(c) }", w=(3, 2, 2, 2)),
        )


# Parts of the examples.
_SIGNATURE = "(float[1,2,4,5,6] x) => (float[1,3,3,4,5] y)"
_CONV = "c = Conv<kernel_shape=[2,2,2]>(x, w)"
_WEIGHT = (3, 2, 2, 2, 2)


def _activations() -> tuple[Example, ...]:
    """Activations."""
    return (
        rewritten("Relu", f"{_SIGNATURE} {{ {_CONV} y = Relu(c) }}", becomes="Conv, Identity, Relu", w=_WEIGHT),
        rewritten(
            "Clip, as attributes",
            f"{_SIGNATURE} {{ {_CONV} y = Clip<min=0.0, max=6.0>(c) }}",
            becomes="Clip, Conv, Identity",
            opset=10,
            w=_WEIGHT,
        ),
        rewritten(
            "also used",
            "(float[1,2,4,5,6] x) => (float[1,3,3,4,5] y, float[1,3,3,4,5] z) "
            f"{{ {_CONV} y = Relu(c) z = Sigmoid(y) }}",
            becomes="Conv, Identity, Relu, Sigmoid",
            w=_WEIGHT,
        ),
        rewritten(
            "transposed",
            """(float[1,2,2,3,4] x) => (float[1,3,4,6,8] y)
            { c = ConvTranspose<kernel_shape=[2,2,2], strides=[2,2,2]>(x, w) y = Relu(c) }""",
            becomes="ConvTranspose, Identity, Relu",
            w=(2, 3, 2, 2, 2),
        ),
    )


def _norms() -> tuple[Example, ...]:
    """BatchNormalization."""
    norm = "BatchNormalization(c, s, s, s, var)"
    return (
        rewritten(
            "norm",
            f"{_SIGNATURE} {{ {_CONV} y = {norm} }}",
            becomes="BatchNormalization, Conv, Identity",
            w=_WEIGHT,
            s=(3,),
            var=(3,),
        ),
        rewritten(
            "norm and Relu",
            f"{_SIGNATURE} {{ {_CONV} n = {norm} y = Relu(n) }}",
            becomes="BatchNormalization, Conv, Identity, Relu",
            w=_WEIGHT,
            s=(3,),
            var=(3,),
        ),
    )
