"""Nodes whose operands are all constant, computed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.inference.constant_folding import constant_value
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.support.row_status import is_right

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mnncompat.graph.view import GraphView
    from mnncompat.rewrites.core.base import Match, Refusal
    from mnncompat.support.node_facts import NodeFacts
    from mnncompat.support.target import Target


class FoldConstants(NodeRewrite):
    """Store the result of a node that depends on nothing but constants.

    **What.** A node that MNN refuses, crashes on or computes wrongly, and all of whose operands are stored or computed
    from stored values by operators of ONNX's own domain (or shapes that are static): window functions of a constant
    size, MelWeightMatrix, tables of indices, weights of 4 bits that are dequantised.

    **Why.** A value that does not depend on the inputs needs no operator. MNN's converter folds constants too, but by
    running its own operators, with their errors.

    **Before and after**::

        HannWindow(400) -> w
        Constant(value = [...]) -> w

    **Algebra.** ONNX's reference evaluator computes the value.

    **Refuses** operators that generate random numbers or hold graphs, strings and sequences, results of more than 64
    MB, and what the reference evaluator cannot compute.

    **Source.** https://onnx.ai/onnx/api/reference.html
    """

    code = "MNN802"
    name = "fold-constants"
    summary = "its operands are constant: the result is stored"
    op_types = ()
    before = (("*", "a stored result costs nothing, and any other replacement of the node is computed in every run"),)
    needs_hazard = True

    def find(self, view: GraphView, target: Target) -> Iterable[Match | Refusal]:
        """Yield a match for each node with a hazard whose operands are constant."""
        if view.is_function:
            return
        for index, node in enumerate(view.nodes):
            if node.op_type == "Constant":  # these are constants already
                continue
            facts = target.facts(view, index)
            wrong = any(not is_right(match.row.status) for match in target.hazards(view, index))
            if wrong and facts.is_constant(next(filter(None, node.output), "")):
                yield self.match_node(view, index, target)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> list[Value | None]:
        """Store every output."""
        results: list[Value | None] = []
        for position, name in enumerate(node.node.output):
            value = constant_value(node.view, name) if new.is_output_used(position) else None
            if value is None and new.is_output_used(position):
                raise NotApplicable(f"'{name}' cannot be computed beforehand")
            results.append(None if value is None else new.constant(value, name=name))
        return results

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A window of constant size, and one whose size is an input."""
        return (
            rewritten(
                "window",
                "(float[2,8] x) => (float[2,8] y) <int64 size = {8}> { w = HannWindow(size) y = Mul(x, w) }",
                becomes="Constant, Mul",
                opset=17,
            ),
            rewritten(
                "window of a computed size",
                """(float[2,8] x) => (float[2,8] y) <int64 one = {1}> {
                s = Shape(x) size = Gather(s, one) w = HammingWindow<periodic=0>(size) y = Mul(x, w) }""",
                becomes="Constant, Mul",
                opset=17,
            ),
            rewritten(
                "4 bits, a scale for each column",
                "(float[2,3] x) => (float[2,3] y) { d = DequantizeLinear<axis=1>(q, s) y = Add(x, d) }",
                becomes="Add, Constant",
                opset=21,
                q=np.array([[1, 2, 3], [4, -5, 6]]).astype(onnx.helper.tensor_dtype_to_np_dtype(TensorProto.INT4)),
                s=(3,),
            ),
            unchanged(
                "a Constant with a hazard",
                """(int64[2] x) => (int64[2] y) {
                c = Constant<value = int64[1] {1099511627776}>() y = Add(x, c) }""",
            ),
            unchanged("size is an input", "(int64 size) => (float[M] y) { y = HannWindow(size) }", opset=17),
        )
