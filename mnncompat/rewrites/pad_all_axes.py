"""Pad with pads for every axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.rewrites.base import Example
from mnncompat.rewrites.examples import left, taken
from mnncompat.rewrites.node import NodeRewrite
from mnncompat.rewrites.sketch import Sketch, Value

if TYPE_CHECKING:
    from mnncompat.facts import NodeFacts


class PadAllAxes(NodeRewrite):
    """Give pads for every axis in the place of ``axes``.

    **What.** Pad of opset 18 and newer with an ``axes`` input.

    **Why.** MNN reads the pads as if they were for all axes.

    **Before and after**::

        y = Pad(x, pads=[1, 2], 0, axes=[-1])
        y = Pad(x, pads=[0, 0, 1, 0, 0, 2], 0)

    Pads that are computed at run time are gathered into their places.

    **Algebra.** The axes that are not named have pads of zero.

    **Refuses** axes that are computed at run time, and tensors whose rank is not known.

    **Source.** https://onnx.ai/onnx/operators/onnx__Pad.html
    """

    code = "MNN856"
    name = "pad-all-axes"
    summary = "pads are given for every axis"
    op_types = ("Pad",)

    def build(self, node: NodeFacts, new: Sketch) -> list[Value]:  # noqa: ARG002
        """Draw the node with as many pads as there are axes, twice."""
        data, rank = new.input(0), new.input(0).rank
        axes = [axis % rank for axis in new.integers(3)]
        places = np.full((2, rank), 2 * len(axes))
        places[:, axes] = np.arange(2 * len(axes)).reshape(2, -1)
        pads = new.input(1)
        if pads.constant is None:
            zero = new.constant([0])
            full = new.op("Gather", new.concat([pads, zero], 0), places.reshape(-1))
        else:
            full = new.constant(np.append(pads.constant, 0)[places.reshape(-1)].astype(np.int64))
        return new.again(data, full, new.input(2) if new.has(2) else None)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Stored and computed pads, and a node without axes."""
        return (
            taken(
                "constant",
                "(float[2,3,4] x) => (float[2,5,4] y) { y = Pad(x, pads, v, axes) }",
                pads=np.array([1, 1]),
                v=np.array(2.5, np.float32),
                axes=np.array([-2]),
                opset=18,
            ),
            taken(
                "reflected, no value",
                """(float[1,2,3,4] x) => (float[1,2,6,7] y) { y = Pad<mode="reflect">(x, pads, "", axes) }""",
                pads=np.array([2, 1, 1, 2]),
                axes=np.array([3, 2]),
                opset=19,
            ),
            taken(
                "computed pads",
                '(float[2,3] x, int64[2] n) => (float[2,M] y) { pads = Add(n, n) y = Pad(x, pads, "", axes) }',
                axes=np.array([1]),
                opset=18,
            ),
            left(
                "all axes",
                "",
                "(float[2,3] x) => (float[2,6] y) { y = Pad(x, pads) }",
                pads=np.array([0, 1, 0, 2]),
                opset=18,
            ),
            left(
                "computed axes",
                "input 3 'axes' is computed at run time",
                """(float[2,3] x, int64[1] axes) => (float[A,B] y) { y = Pad(x, pads, "", axes) }""",
                pads=np.array([1, 2]),
                opset=18,
            ),
        )
