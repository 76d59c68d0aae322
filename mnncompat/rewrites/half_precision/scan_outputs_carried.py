"""Loops that carry what they collect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
_FIRST_STATE = 2
_KEEPING = ("Abs", "Cast", "Clip", "Elu", "Exp", "LeakyRelu", "Neg", "Relu", "Sigmoid", "Sqrt", "Tanh")
_END = int(np.iinfo(np.int64).max)


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

    A scan output whose shape is not known begins with the first value of a state that it is a function of, which is cut
    off at the end.

    **Refuses** scan outputs of an unknown shape that are no function of a state, element by element.

    **Source.** MNN 3.6.1, express/module/WhileModule.cpp
    """

    code = "MNN980"
    name = "scan-outputs-carried"
    summary = "its scan outputs are carried as states"
    for_half_precision = True
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
        starts = [_start(node, new, body, scanned[at]) for at in moved]
        carried = [_carried(body, scanned[at], new.opset) for at in moved]
        outputs = [*body.output[: 1 + states], *carried, *(scanned[at] for at in kept)]
        fresh = list(map(_copy, outputs))
        del body.output[:]
        body.output.extend(fresh)
        found = new.ops("Loop", *operands, *(each.value for each in starts), count=states + len(scanned), body=body)
        order = {at: found[states + number] for number, at in enumerate((*moved, *kept))}
        for at, start in zip(moved, starts, strict=True):
            if start.rows:
                order[at] = new.slice(order[at], [start.rows], [_END], [0])
        return [*found[:states], *(order[at] for at in range(len(scanned)))]

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Floats beside whole numbers, an unknown count; whole numbers alone, and an unknown shape."""
        return (*_rewritten(), *_left())


_TEXT = """({x}) => (float[2] h, {y}) <bool t = {{1}}, float[2] s = {{0.5, 2.0}}> {{ h, y = Loop(n, t, s)<body =
    b (int64 i, bool c, float[2] p) => (bool d, float[2] q, {e}) {{ d = Identity(c) q = Tanh(p) {made} }}> }}"""


def _rewritten() -> tuple[Example, ...]:
    """Floats beside whole numbers, an unknown count, a state of unknown shape."""
    return (
        rewritten(
            "unknown count",
            _TEXT.format(x="int64 n", y="float[N,2] y", e="float[2] e", made="e = Abs(q)"),
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
        rewritten(
            "a state of unknown shape",
            """(float[K] x) => (float[K] h, float[N,K] y) <int64 n = {3}, bool t = {1}> { h, y =
                Loop(n, t, x)<body = b (int64 i, bool c, float[K] p) => (bool d, float[K] q, float[K] e) {
                d = Identity(c) q = Tanh(p) e = Abs(q) }> }""",
            becomes="Loop{Abs, Concat, Identity, Tanh, Unsqueeze}, Slice, Unsqueeze",
            precision="low",
        ),
    )


def _left() -> tuple[Example, ...]:
    """Whole numbers, an unknown shape, and float32."""
    return (
        refused(
            "a shape that changes",
            "is not known",
            _TEXT.format(x="int64 n, float[K] z", y="float[N,K] y", e="float[K] e", made="e = Abs(z)"),
            precision="low",
        ),
        unchanged(
            "whole numbers",
            _TEXT.format(x="int64 n", y="int64[N] y", e="int64 e", made="e = Identity(i)"),
            precision="low",
        ),
        unchanged(
            "in float32",
            _TEXT.format(x="int64 n", y="float[N,2] y", e="float[2] e", made="e = Abs(q)"),
        ),
    )


class _Start(NamedTuple):
    """What a state begins with, and how many rows of it are no results."""

    value: Value
    rows: int


def _start(node: NodeFacts, new: SubgraphBuilder, body: GraphProto, result: ValueInfoProto) -> _Start:
    """No rows, if the shape of a result of the body is known; else one row of a state that has its shape.

    Raises:
        NotApplicable: Neither is known.
    """
    (inside,) = node.view.inner_graphs(node.index)
    shape = inside.shape(result.name) or dims_of(result)
    if shape is not None and all(isinstance(dim, int) for dim in shape):
        dims = tuple(int(dim or 0) for dim in shape)
        return _Start(new.constant(np.zeros((0, *dims), element_dtype(result.type.tensor_type.elem_type))), 0)
    position = _state_like(body, result.name)
    if position is None:
        raise NotApplicable(f"the shape of '{result.name}' in the body is not known")
    return _Start(new.unsqueeze(new.input(position), [0]), 1)


def _state_like(body: GraphProto, name: str) -> int | None:
    """The operand of the Loop that is the first value of a state of which a result is a function, by element."""
    producers = {output: each for each in body.node for output in each.output}
    states = {each.name: at for at, each in enumerate(body.input)}

    def origin(value: str) -> str:
        while value in producers and producers[value].op_type == "Identity":
            value = producers[value].input[0]
        return value

    following = {origin(each.name): at + 1 for at, each in enumerate(body.output[: len(body.input) - 1]) if at}
    value = origin(name)
    while value not in following and states.get(value, 0) < _FIRST_STATE:
        maker = producers.get(value)
        if maker is None or maker.op_type not in (*_KEEPING, "Where"):
            return None
        value = origin(maker.input[1 if maker.op_type == "Where" else 0])
    return following.get(value) or states.get(value)


def _carried(body: GraphProto, value: ValueInfoProto, opset: int) -> ValueInfoProto:
    """Give the body a state to which it appends a result; returns what the body gives for it."""
    used = set(names_in_use(body))
    before, row, after, axes = (_fresh(f"{value.name}_{what}", used) for what in ("before", "row", "after", "axes"))
    kind = value.type.tensor_type.elem_type
    shape = dims_of(value)
    stacked = None if shape is None else (None, *shape)
    body.input.append(helper.make_tensor_value_info(before, kind, stacked))
    if opset >= _AXES_ARE_INPUT:
        body.initializer.append(array_tensor(np.array([0], np.int64), axes))
        body.node.append(helper.make_node("Unsqueeze", [value.name, axes], [row], name=row))
    else:
        body.node.append(helper.make_node("Unsqueeze", [value.name], [row], name=row, axes=[0]))
    body.node.append(helper.make_node("Concat", [before, row], [after], name=after, axis=0))
    return helper.make_tensor_value_info(after, kind, stacked)


def _fresh(name: str, used: set[str]) -> str:
    while name in used:
        name += "_"
    used.add(name)
    return name


def _copy(value: ValueInfoProto) -> ValueInfoProto:
    copied = ValueInfoProto()
    copied.CopyFrom(value)
    return copied
