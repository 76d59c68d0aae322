"""Pad of more axes than MNN fills in one operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
from mnncompat.support.relations.pad_slice import filled_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mnncompat.graph.protos import Dim
    from mnncompat.support.node_facts import NodeFacts

_INPUTS_SINCE = 11


class PadInSteps(NodeRewrite):
    """Pad only as many axes at a time as MNN fills.

    **What.** Pad of axes with more than three blocks of axes from the first one of them on, unless zeros are added. A
    block is a padded axis, or a run of axes without pads.

    **Why.** MNN leaves zeros where it should fill in the value, or the reflection.

    **Before and after**::

        y = Pad<mode="reflect">(x (A, B, H, W), pads=[1, 0, 1, 0, ...])
        y = Pad<mode="reflect">(Pad<mode="reflect">(x, pads=[0, 0, 1, 0, ...]), pads=[1, 0, 0, 0, ...])

    **Algebra.** What is added along an axis depends on that axis only, whatever the mode.

    **Refuses** pads that are computed at run time, and tensors whose rank is not known.

    **Source.** MNN 3.6.1, source/geometry/GeometryCrop.cpp (GeometryPad)
    """

    code = "MNN860"
    name = "pad-in-steps"
    summary = "fewer axes are padded at a time"
    op_types = ("Pad",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit one Pad for each group of axes that are filled together."""
        value, inputs = new.input(0), new.opset >= _INPUTS_SINCE
        pads = np.asarray(new.integers(1) if inputs else node.attribute("pads")).reshape(2, -1)
        for axes in _steps(value.dims, np.flatnonzero(pads.any(0)).tolist()):
            step = np.zeros_like(pads)
            step[:, axes] = pads[:, axes]
            flat = [int(each) for each in step.reshape(-1)]
            if inputs:
                number = new.input(2) if new.has(2) else None
                (value,) = new.clone_node(value, new.constant(flat), number)
            else:
                (value,) = new.clone_node(value, pads=flat)
        return value

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two axes that are not adjacent, four axes, every mode; adjacent axes, and zeros."""
        pads, one = np.array([1, 0, 2, 1, 0, 1, 0, 1]), np.array(1.5, np.float32)
        model = "(float[1,2,3,4] x) => (float[2,3,5,6] y) { y = Pad(x, pads, v) }"
        apart = """(float[2,2,3,4] x) => (float[4,2,5,4] y) { y = Pad<mode="reflect">(x, pads) }"""
        return (
            rewritten("four axes", model, becomes="2 Pad", pads=pads, v=one),
            rewritten("two apart", apart, becomes="2 Pad", pads=np.array([1, 0, 1, 0, 1, 0, 1, 0])),
            rewritten(
                "attribute",
                apart.replace("(x, pads)", "(x)").replace('"reflect"', '"edge", pads=[1,0,1,0,1,0,1,0]'),
                becomes="2 Pad",
                opset=10,
            ),
            unchanged("zeros", model, pads=pads, v=np.array(0, np.float32)),
            unchanged("neighbours", apart.replace("4,2,5,4", "2,4,5,6"), pads=np.array([0, 1, 1, 1, 0, 1, 1, 1])),
        )


def _steps(shape: Sequence[Dim], padded: list[int]) -> Iterator[list[int]]:
    """Groups of axes that MNN fills together; a single axis is always filled."""
    while padded:
        group = padded[-1:]
        while len(group) < len(padded) and filled_blocks(shape, padded[-len(group) - 1 :]):
            group = padded[-len(group) - 1 :]
        yield group
        padded = padded[: -len(group)]
