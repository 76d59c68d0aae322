"""Loops that carry what they collect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper

from mnncompat.graph.protos import dims_of
from mnncompat.graph.tensor_values import array_tensor, element_dtype
from mnncompat.graph.value_names import names_in_use
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.support.node_facts import NodeFacts

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_AXES_ARE_INPUT = 13


class ScanOutputsCarried(NodeRewrite):
    """Let a Loop carry its scan outputs as states that grow.

    **What.** Loop with scan outputs of floats, for half precision.

    **Why.** With `precision = low` on processors with float16, MNN keeps the results of the body without a copy until
    they are stacked: a scan output holds the result of one iteration in all places. States are right.

    **Before and after**::

        h, y = Loop(n, t, h0) {h1 = Tanh(h); e = Abs(h1)}                      y: e, stacked
        h, y = Loop(n, t, h0, []) {h1 = Tanh(h); y1 = Concat(y, Unsqueeze(Abs(h1)))}

    **Algebra.** Stacking the results at the end, or appending each of them to those before, gives the same elements in
    the same order, also where no iteration runs.

    **Why this form.** Measured on an emulated Cortex-A76, `precision = low`: 71 dB where the scan outputs had -0.4; so
    had a buffer that ScatterND or Where write into, which need the number of iterations beforehand.

    **Refuses** scan outputs whose shape in the body is not known.

    **Source.** MNN 3.6.1, express/module/WhileModule.cpp
    """

    code = "MNN980"
    name = "scan-outputs-carried"
    summary = "its scan outputs are carried as states"
    op_types = ("Loop",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the Loop with more states."""
        body = GraphProto()
        body.CopyFrom(node.attribute("body"))
        states = len(body.input) - 2
        scanned = body.output[1 + states :]
        moved = [at for at, each in enumerate(scanned) if each.type.tensor_type.elem_type in _FLOATS]
        kept = [at for at in range(len(scanned)) if at not in moved]
        operands: list[Value | None] = [new.value(name) if name else None for name in node.node.input]
        results = [_carried(body, scanned[at], _dims(node, scanned[at]), new) for at in moved]
        operands += [new.constant(start) for start, _ in results]
        outputs = [*body.output[: 1 + states], *(each for _, each in results), *(scanned[at] for at in kept)]
        fresh = list(map(_copy, outputs))
        del body.output[:]
        body.output.extend(fresh)
        found = new.ops("Loop", *operands, count=states + len(scanned), body=body)
        order = {at: found[states + number] for number, at in enumerate((*moved, *kept))}
        return [*found[:states], *(order[at] for at in range(len(scanned)))]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Floats beside whole numbers, an unknown count; whole numbers alone, and an unknown shape."""
        text = """({x}) => (float[2] h, {y}) <bool t = {{1}}, float[2] s = {{0.5, 2.0}}> {{ h, y = Loop(n, t, s)<body =
            b (int64 i, bool c, float[2] p) => (bool d, float[2] q, {e}) {{ d = Identity(c) q = Tanh(p) {made} }}> }}"""
        return (
            rewritten(
                "unknown count",
                text.format(x="int64 n", y="float[N,2] y", e="float[2] e", made="e = Abs(q)"),
                becomes="Loop{Abs, Concat, Identity, Tanh, Unsqueeze}",
                precision="low",
            ),
            rewritten(
                "numbers of the iterations beside it, opset 11",
                """(float[2] x) => (float[2] h, int64[3] j, float[3,2] y) <int64 n = {3}, bool t = {1}> {
                h, j, y = Loop(n, t, x)<body = b (int64 i, bool c, float[2] p) => (
                bool d, float[2] q, int64 k, float[2] e) {
                d = Identity(c) q = Tanh(p) k = Identity(i) e = Abs(q) }> }""",
                becomes="Loop{Abs, Concat, 2 Identity, Tanh, Unsqueeze}",
                opset=11,
                precision="low",
            ),
            refused(
                "a shape that changes",
                "is not known",
                text.format(x="int64 n, float[K] z", y="float[N,K] y", e="float[K] e", made="e = Abs(z)"),
                precision="low",
            ),
            unchanged(
                "whole numbers",
                text.format(x="int64 n", y="int64[N] y", e="int64 e", made="e = Identity(i)"),
                precision="low",
            ),
            unchanged(
                "in float32",
                text.format(x="int64 n", y="float[N,2] y", e="float[2] e", made="e = Abs(q)"),
            ),
        )


def _dims(node: NodeFacts, value: ValueInfoProto) -> tuple[int, ...]:
    """The static shape of a result of the body.

    Raises:
        NotApplicable: It is not known.
    """
    (inside,) = node.view.inner_graphs(node.index)
    shape = inside.shape(value.name) or dims_of(value)
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        raise NotApplicable(f"the shape of '{value.name}' in the body is not known")
    return tuple(int(dim or 0) for dim in shape)


def _carried(
    body: GraphProto, value: ValueInfoProto, dims: tuple[int, ...], new: SubgraphBuilder
) -> tuple[np.ndarray, ValueInfoProto]:
    """Give the body a state to which it appends a result; returns its first value and what the body gives."""
    used = set(names_in_use(body))
    before, row, after, axes = (_fresh(f"{value.name}_{what}", used) for what in ("before", "row", "after", "axes"))
    kind = value.type.tensor_type.elem_type
    body.input.append(helper.make_tensor_value_info(before, kind, (None, *dims)))
    if new.opset >= _AXES_ARE_INPUT:
        body.initializer.append(array_tensor(np.array([0], np.int64), axes))
        body.node.append(helper.make_node("Unsqueeze", [value.name, axes], [row], name=row))
    else:
        body.node.append(helper.make_node("Unsqueeze", [value.name], [row], name=row, axes=[0]))
    body.node.append(helper.make_node("Concat", [before, row], [after], name=after, axis=0))
    return np.zeros((0, *dims), element_dtype(kind)), helper.make_tensor_value_info(after, kind, (None, *dims))


def _fresh(name: str, used: set[str]) -> str:
    while name in used:
        name += "_"
    used.add(name)
    return name


def _copy(value: ValueInfoProto) -> ValueInfoProto:
    copied = ValueInfoProto()
    copied.CopyFrom(value)
    return copied
