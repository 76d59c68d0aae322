"""Pad with pads for every axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.indexing.index_arithmetic import counted

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts


class PadAllAxes(NodeRewrite):
    """Give pads for every axis instead of ``axes``.

    **What.** Pad of opset 18 and newer with an ``axes`` input.

    **Why.** MNN reads the pads as if they were for all axes.

    **Before and after**::

        y = Pad(x, pads=[1, 2], 0, axes=[-1])
        y = Pad(x, pads=[0, 0, 1, 0, 0, 2], 0)

    Pads and axes that are computed at run time are put into position at run time.

    **Algebra.** The axes that are not named have pads of zero.

    **Refuses** tensors whose rank is not known.

    **Source.** https://onnx.ai/onnx/operators/onnx__Pad.html
    """

    code = "MNN856"
    name = "pad-all-axes"
    summary = "pads are given for every axis"
    op_types = ("Pad",)
    before = (("pad-wrap", "that one refuses axes where pads are computed at run time; without axes it takes both"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value]:  # noqa: ARG002
        """Emit the node with as many pads as there are axes, twice."""
        data = new.input(0)
        full = _full(new, data.rank)
        return new.clone_node(data, full, new.input(2) if new.has(2) else None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Stored and computed pads, and a node without axes."""
        return (
            *_some_axes(),
            unchanged(
                "all axes",
                "(float[2,3] x) => (float[2,6] y) { y = Pad(x, pads) }",
                pads=np.array([0, 1, 0, 2]),
                opset=18,
            ),
            refused(
                "of an unknown rank",
                "the rank of 'x' is not known",
                """(float[2,3] a, int64[K] s) => (float[A,B] y) { x = Reshape(a, s) y = Pad(x, pads, "", axes) }""",
                pads=np.array([1, 2]),
                axes=np.array([0]),
                opset=18,
            ),
        )


def _some_axes() -> tuple[Example, ...]:
    """Stored and computed pads of some axes."""
    return (
        rewritten(
            "constant",
            "(float[2,3,4] x) => (float[2,5,4] y) { y = Pad(x, pads, v, axes) }",
            becomes="Pad",
            pads=np.array([1, 1]),
            v=np.array(2.5, np.float32),
            axes=np.array([-2]),
            opset=18,
        ),
        rewritten(
            "reflected, no value",
            """(float[1,2,3,4] x) => (float[1,2,6,7] y) { y = Pad<mode="reflect">(x, pads, "", axes) }""",
            becomes="Pad",
            pads=np.array([2, 1, 1, 2]),
            axes=np.array([3, 2]),
            opset=19,
        ),
        rewritten(
            "computed pads",
            '(float[2,3] x, int64[2] n) => (float[2,M] y) { pads = Add(n, n) y = Pad(x, pads, "", axes) }',
            becomes="Add, Concat, Gather, Pad",
            axes=np.array([1]),
            opset=18,
        ),
        rewritten(
            "computed axes",
            """(float[2,3] x, int64[1] axes) => (float[A,B] y) { y = Pad(x, pads, "", axes) }""",
            becomes="Add, Cast, Equal, Less, Mul, Pad, ReduceSum, 2 Reshape, Unsqueeze, Where",
            pads=np.array([1, 2]),
            opset=18,
        ),
    )


def _full(new: SubgraphBuilder, rank: int) -> Value:
    """Pads for every axis, (2 * rank,)."""
    pads, axes = new.input(1), new.input(3)
    if axes.constant is None:
        here = new.op("Equal", new.unsqueeze(counted(new, axes, new.constant(np.array(rank))), [1]), np.arange(rank))
        chosen = new.reshape(pads, [2, -1, 1]) * new.cast(here, TensorProto.INT64)
        return new.reshape(new.reduce("ReduceSum", chosen, [1], keepdims=False), [-1])
    if axes.constant.ndim != 1 or not all(-rank <= axis < rank for axis in axes.constant):
        raise NotApplicable(f"axes {axes.constant.tolist()} name no axes of a value of {rank}")
    named = [int(axis) % rank for axis in axes.constant]
    places = np.full((2, rank), 2 * len(named))
    places[:, named] = np.arange(2 * len(named)).reshape(2, -1)
    if pads.constant is None:
        return new.op("Gather", new.concat([pads, new.constant([0])], 0), places.reshape(-1))
    return new.constant(np.append(pads.constant, 0)[places.reshape(-1)].astype(np.int64))
