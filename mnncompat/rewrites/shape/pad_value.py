"""Pad below opset 11 with another value than zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class PadValue(NodeRewrite):
    """Add the value that a Pad below opset 11 writes around its input.

    **What.** Pad of mode ``constant`` and an opset below 11, where the value is an attribute.

    **Why.** MNN ignores the attribute and pads with zeros.

    **Before and after**::

        y = Pad<pads=[1, 1], value=2>(x)
        y = Pad<pads=[1, 1]>(x) + [2, 0, ..., 0, 2]

    **Algebra.** The addend is zero at the elements of the input, and the value at the padded zeros.

    **Why this form.** One addition that is broadcast along the axes without pads; opset 7 has no Where.

    **Refuses** padded axes of dynamic size, and negative pads.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/onnxextra/OnnxPad.cpp
    """

    code = "MNN857"
    name = "pad-value"
    summary = "zeros are padded, and the value is added to them"
    op_types = ("Pad",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the padding with zeros and the addition."""
        data, value = new.input(0), float(node.attribute("value"))
        pads = np.asarray(node.attribute("pads")).reshape(2, -1).T
        if (pads < 0).any():
            raise NotApplicable(f"pads {node.attribute('pads')} are negative")
        outside = np.zeros([data.dim(axis) if any(around) else 1 for axis, around in enumerate(pads)])
        outside = np.pad(outside, pads, constant_values=value).astype(data.element)
        (padded,) = new.clone_node(data, value=None)
        return padded + outside

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Values, and models without one or that are refused."""
        return (
            rewritten(
                "image",
                """(float[N,2,3,4] x) => (float[N,2,5,7] y) {
                y = Pad<mode="constant", pads=[0,0,1,2,0,0,1,1], value=-1.5>(x) }""",
                becomes="Add, Pad",
                opset=10,
            ),
            rewritten(
                "row", "(float[5] x) => (float[8] y) { y = Pad<pads=[1,2], value=3.0>(x) }", becomes="Add, Pad", opset=9
            ),
            unchanged("zero", "(float[5] x) => (float[8] y) { y = Pad<pads=[1,2], value=0.0>(x) }", opset=9),
            unchanged(
                "reflected", """(float[5] x) => (float[8] y) { y = Pad<mode="reflect", pads=[1,2]>(x) }""", opset=9
            ),
            refused(
                "negative",
                "pads [-1, 2] are negative",
                "(float[5] x) => (float[6] y) { y = Pad<pads=[-1,2], value=3.0>(x) }",
                opset=9,
            ),
            refused(
                "dynamic",
                "dimension 0 of 'x' is dynamic",
                "(float[N] x) => (float[M] y) { y = Pad<pads=[1,2], value=3.0>(x) }",
                opset=9,
            ),
        )
