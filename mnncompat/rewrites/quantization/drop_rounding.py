"""Float arithmetic instead of a quantised activation that is dequantised at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from mnncompat.results.diagnostics import Applicability
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.quantization.quantized import RANGES, spread
from mnncompat.support.row_status import is_right

if TYPE_CHECKING:
    from onnx import ModelProto

    from mnncompat.graph.view import GraphView
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.target import Target

_RANGES = {**RANGES, TensorProto.INT4: (-8, 7), TensorProto.UINT4: (0, 15)}


class DropRounding(NodeRewrite):
    """Drop the rounding of activations that are quantised and dequantised at once, but keep the saturation.

    **What.** `mnncompat fix MODEL --unsafe-fixes`. DequantizeLinear of the result of QuantizeLinear with the same
    constant scale and zero point: the pair that quantisation-aware training and static quantisation write around every
    layer.

    **Why.** MNN does not run such pairs. The safe remedies compute them in float as ONNX defines them: five operators
    for each pair, for a rounding that a float model does not need. Without the rounding the model runs as before it was
    quantised, with its present weights; MNN quantises it anew with ``--weight-bits``.

    **Before and after**::

        y = DequantizeLinear(QuantizeLinear(x, s, z), s, z)
        y = Clip(x, (lowest - z) * s, (highest - z) * s)

    **Algebra.** ``y`` differs from what it was by half of ``s`` at most. The range stays: the lower end of the range
    may be the only ReLU of a quantised model.

    **Unsafe**: the result is closer to the model before its quantisation than to this one. It is compared with the
    original by the signal-to-noise ratio, 20 dB at least, and all later results, including MNN's file, are proven equal
    to it as usual.

    **Refuses** scales and zero points that are computed or differ, blocks, and 8-bit floats.

    **Source.** https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
    """

    code = "MNN830"
    name = "drop-rounding"
    summary = "no longer rounded; its range stays"
    applicability = Applicability.UNSAFE
    approximate = True
    op_types = ("DequantizeLinear",)

    def applies_to(self, view: GraphView, index: int, target: Target) -> bool:
        """True for the second node of a pair of which one has a hazard."""
        producer = view.producers.get(view.nodes[index].input[0])
        if producer is None or view.nodes[producer].op_type != "QuantizeLinear":
            return False
        if target.facts(view, producer).is_constant(view.nodes[producer].input[0]):
            return False  # a weight: it is folded instead
        hazards = (match for each in (index, producer) for match in target.hazards(view, each))
        return any(not is_right(match.row.status) for match in hazards)

    def note(self, node: NodeFacts) -> str:
        """How the pair is rewritten."""
        return f"QuantizeLinear and {super().note(node)}"

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the range."""
        first = node.view.nodes[node.view.producers[node.node.input[0]]]
        pair = [_parameters(new, [*names]) for names in (first.input, node.node.input)]
        if not all(np.array_equal(one, two) for one, two in zip(*pair, strict=True)):
            raise NotApplicable("scale or zero point of the two differ")
        scale, zero = pair[0]
        axis, block = (int(node.attribute(name) or 0) for name in ("axis", "block_size"))
        stated = {each.name: each.i for each in first.attribute}
        if block or stated.get("block_size"):
            raise NotApplicable("there is a scale for each block")
        if scale.size > 1 and stated.get("axis", 1) != axis:
            raise NotApplicable(f"the axes differ: {stated.get('axis', 1)} and {axis}")
        kind = new.input(0).dtype
        if kind not in _RANGES:
            raise NotApplicable(f"what is dequantised is {TensorProto.DataType.Name(kind)}")
        value = new.value(first.input[0])
        if not value.is_float:
            raise NotApplicable(f"what is quantised is {TensorProto.DataType.Name(value.dtype)}")
        low, high = ((bound - zero) * scale for bound in _RANGES[kind])
        dtype = node.attribute("output_dtype") or new.input(1).dtype
        if scale.size == 1:
            return new.cast(new.clip(value, float(low.reshape(-1)[0]), float(high.reshape(-1)[0])), dtype)
        lowest, highest = (spread(new, new.constant(each.astype(value.element)), value, axis) for each in (low, high))
        return new.cast(new.op("Min", new.op("Max", value, lowest), highest), dtype)

    def suggestion(self, model: ModelProto, applied: Collection[str]) -> str:  # noqa: ARG002 - the fix tells
        """The option, if the model has rounding that MNN computes by its own arithmetic."""
        if "quantize-in-float" not in applied:
            return ""
        return (
            "activations are rounded to few values, and MNN's additions round some of them the other way: "
            "`--unsafe-fixes` (in Python unsafe=True) drops that rounding"
        )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """One scale and several, types, and models that stay unchanged or are refused."""
        return (
            *_rounded_examples(),
            refused(
                "the scales differ",
                "scale or zero point of the two differ",
                """(float[2,8] x) => (float[2,8] y) <float s = {0.01}, float t = {0.02}> {
                q = QuantizeLinear(x, s) y = DequantizeLinear(q, t) }""",
            ),
            refused(
                "the scale is computed",
                "is computed at run time",
                "(float[2,8] x, float s) => (float[2,8] y) { q = QuantizeLinear(x, s) y = DequantizeLinear(q, s) }",
            ),
            refused(
                "a scale for each block",
                "a scale for each block",
                """(float[2,6] x) => (float[2,6] y) {
                q = QuantizeLinear<block_size=3>(x, vars) y = DequantizeLinear<block_size=3>(q, vars) }""",
                opset=21,
                vars=(2, 2),
            ),
            unchanged(
                "what is dequantised was not quantised here",
                "(uint8[2,8] q) => (float[2,8] y) <float s = {0.01}> { y = DequantizeLinear(q, s) }",
            ),
        )


def _rounded_examples() -> tuple[Example, ...]:
    """One scale and several, with and without zero points."""
    return (
        rewritten(
            "between layers, dynamic batch",
            """(float[N,3,6,6] x) => (float[N,4,4,4] y) <float s = {0.05}, uint8 z = {128}> {
            q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Conv(d, w) }""",
            becomes="Clip, Conv",
            w=(4, 3, 3, 3),
        ),
        rewritten(
            "a scale for each channel, read by two",
            """(float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] t) <float[3] s = {0.05, 0.1, 0.02},
            int8[3] z = {0, 3, -5}> {
            q = QuantizeLinear<axis=1>(x, s, z) d = DequantizeLinear<axis=1>(q, s, z)
            e = DequantizeLinear<axis=1>(q, s, z) y = Tanh(d) t = Neg(e) }""",
            becomes="2 Max, 2 Min, Neg, Tanh",
        ),
        rewritten(
            "no zero point, opset 10",
            """(float[2,8] x) => (float[2,8] y) <float s = {0.01}> {
            q = QuantizeLinear(x, s) d = DequantizeLinear(q, s) y = Sigmoid(d) }""",
            becomes="Clip, Sigmoid",
            opset=10,
        ),
    )


def _parameters(new: SubgraphBuilder, names: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and zero point of one of the pair."""
    found: list[NDArray[np.float64]] = []
    for position, name in enumerate((*names, "", "")[1:3]):
        value = new.known_constant(name) if name else np.zeros((), np.float64)
        if value is None:
            raise NotApplicable(f"the {('scale', 'zero point')[position]} '{name}' is computed at run time")
        found.append(value.astype(np.float64))
    return found[0], np.broadcast_to(found[1], found[0].shape) if found[1].size == 1 else found[1]
