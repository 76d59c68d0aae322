"""Magnitudes whose squares half precision holds."""

from __future__ import annotations

from math import ceil, log, log2, sqrt
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.protos import is_onnx
from mnncompat.inference.constant_folding import constant_value
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.half_conditions import LARGEST
from mnncompat.support.relations.half_norms import producer
from mnncompat.support.relations.half_spectra import TwoSquares, squares_of

if TYPE_CHECKING:
    from onnx import NodeProto

    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts

_LEAST = 2.0**-14
"""The smallest number that float16 holds with all its bits."""
_LOUDEST = 32768.0
"""Of samples of 16 bits."""
_CUTS = frozenset({"Split", "Slice", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Gather"})


class MagnitudeByLargerPart(NodeRewrite):
    """Divide by the larger of two parts before they are squared.

    **What.** Sqrt or Log of ``a * a + b * b``, also with a number added or as a floor, for half precision: the
    magnitude or the log-power of a spectrum.

    **Why.** Squares of numbers above 255 are infinite in float16, and those of numbers below 2e-4 are 0.

    **Before and after**::

        y = Sqrt(a * a + b * b)
        m = Max(Abs(a), Abs(b), 2^-14)  y = m * Sqrt((a / m)^2 + (b / m)^2)

    **Algebra.** ``sqrt(a^2 + b^2) = m sqrt((a / m)^2 + (b / m)^2)`` and ``log(a^2 + b^2 + e) = 2 log(m) +
    log((a / m)^2 + (b / m)^2 + e / m^2)`` for each ``m > 0``. Where ``m`` is at least ``sqrt(e)``, nothing is above 1.
    Both parts of a convolution with constant weights, such as an STFT, are multiplied by 2^-k through its weights, so
    that samples of 16 bits do not overflow in it; ``m`` brings the 2^k back.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`, a spectrum of samples up to 3000: -70 dB
    before, 57 dB and more after.

    **Source.** MNN 3.6.1, source/core/OpCommonUtils.cpp (opCompabilityForLowp): BinaryOp and UnaryOp run in float16
    """

    code = "MNN998"
    name = "magnitude-by-larger-part"
    summary = "both parts are divided by the larger one before they are squared"
    for_half_precision = True
    op_types = ("Sqrt", "Log")
    before = (("log-scaled", "its floor is that of the squares, which overflow before"),)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the magnitude, or its logarithm."""
        found = squares_of(node)
        if found is None:
            raise NotApplicable("it is no sum of two squares")
        first, second, bits = _parts(node.view, new, found)
        beside = sqrt(max(found.added, found.floor)) * 2.0**-bits
        larger = new.op("Max", new.op("Abs", first), new.op("Abs", second), max(beside, _LEAST))
        one, other = first / larger, second / larger
        square = one * one + other * other
        if beside:
            part = beside / larger
            rest = part * part
            square = square + rest if found.added else new.op("Max", square, rest)
        if node.node.op_type != "Log":
            root = new.op("Sqrt", square)
            return larger * root * 2.0**bits if bits else larger * root
        result = new.op("Log", larger) * 2.0 + new.op("Log", square)
        return result + 2 * bits * log(2) if bits else result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A magnitude, the log-power of an STFT; what has no squares, and what is not for half precision."""
        root = (
            "(float[2,3] a, float[2,3] b) => (float[2,3] y) { p = Mul(a, a) q = Mul(b, b) s = Add(p, q) y = Sqrt(s) }"
        )
        return (
            rewritten("magnitude", root, becomes="2 Abs, Add, 2 Div, Max, 3 Mul, Sqrt", precision="low"),
            rewritten(
                "log-power of a spectrum",
                """(float[1,1,16] x) => (float[1,2,7] y) <float[4,1,4] w = {1, 2, 1, 0, 1, 0, -1, 0, 0, 2, 2, 1, 0, 1,
                0, -1}, int64[2] p = {2, 2}, float e = {1e-6}, float two = {2}> { c = Conv<strides=[2]>(x, w)
                r, i = Split<axis=1>(c, p) u = Pow(r, two) v = Pow(i, two) s = Add(u, v) t = Add(s, e) y = Log(t) }""",
                becomes="2 Abs, 4 Add, Conv, 3 Div, 2 Log, Max, 4 Mul, Split",
                opset=13,
                precision="low",
            ),
            unchanged("in float32", root),
            unchanged(
                "no squares",
                "(float[2,3] a, float[2,3] b) => (float[2,3] y) { p = Abs(a) q = Mul(b, b) s = Add(p, q) y = Sqrt(s) }",
                precision="low",
            ),
        )


def _parts(view: GraphView, new: SubgraphBuilder, found: TwoSquares) -> tuple[Value, Value, int]:
    """Both parts, times 2^-bits if a convolution with constant weights computes both."""
    between: dict[int, NodeProto] = {}
    sources = {_source(view, name, between) for name in (found.first, found.second)}
    source = sources.pop()
    conv = view.producer(source) if source and not sources else None
    weight = constant_value(view, conv.input[1]) if conv is not None and conv.op_type == "Conv" else None
    if conv is None or weight is None or len(conv.input) > 2 or not is_onnx(conv):  # noqa: PLR2004 - no bias
        return new.value(found.first), new.value(found.second), 0
    loudest = _LOUDEST * float(np.abs(weight).reshape(len(weight), -1).sum(axis=1).max())
    bits = max(0, ceil(log2(loudest / LARGEST)))
    if not bits:
        return new.value(found.first), new.value(found.second), 0
    small = new.constant((weight * 2.0**-bits).astype(weight.dtype))
    scaled = new.splice([conv], {conv.input[1]: small})[conv.output[0]]
    copied = new.splice([between[at] for at in sorted(between)], {conv.output[0]: scaled})
    first, second = (copied.get(name, scaled) for name in (found.first, found.second))
    return first, second, bits


def _source(view: GraphView, name: str, between: dict[int, NodeProto]) -> str:
    """What a value is cut out of; the nodes that cut it are added to `between`."""
    node = producer(view, name)
    while node is not None and node.op_type in _CUTS:
        between[view.producers[name]] = node
        name = node.input[0]
        node = producer(view, name)
    return name
