"""Operators that MNN would move before a graph output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable
from mnncompat.support.moved_outputs import moved_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.rewrites.core.base import Example
    from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value
    from mnncompat.support.node_facts import NodeFacts

_MAX_TAKES_INTEGERS = 12  # opset


class CopyOutputBeforeActivation(NodeRewrite):
    """Let an operator read a copy of the graph output before it.

    **What.** Operators of one operand, such as Sigmoid, and groups that MNN makes one of, such as a square or SiLU,
    that alone read a graph output which a change of shape or a product with a constant matrix computes: a classifier
    that returns its logits and their sigmoid, a spectrum and its power.

    **Why.** MNN moves such an operator before the change of shape, without checking the graph's outputs: the output is
    lost, and its name stands for the result of the operator, in the shape before the change.

    **Before and after**::

        logits = Gemm(x, w, b)               logits = Gemm(x, w, b)
        y = Sigmoid(logits)                  y = Sigmoid(Max(logits, logits))

        y = Mul(r, Sigmoid(r))               y = Mul(Max(r, r), Sigmoid(r))

    **Algebra.** Max(a, a) = a.

    **Why this form.** MNN's converter sees through Identity, ``a * 1``, ``a + 0``, Concat and Sum of one, and moves the
    operator all the same; it leaves Max. One pass over the elements of the output.

    **Refuses** integers before opset 12, which Max does not take.

    **Source.** MNN 3.6.1, tools/converter/source/optimizer/postconvert/MoveUnaryOpBeforeReshape.cpp
    """

    code = "MNN946"
    name = "copy-output-before-activation"
    summary = "it reads a copy of the output before it"
    op_types = ()

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value]:
        """Emit the copy and the node."""
        names = next((each.names for each in moved_outputs(node.view) if each.index == node.index), frozenset[str]())
        operands = [new.input(position) if new.has(position) else None for position in range(len(node.node.input))]
        read = next((each for each in operands if each is not None and each.name in names), None)
        if read is None:
            raise NotApplicable("it reads no graph output that MNN loses")
        if new.opset < _MAX_TAKES_INTEGERS and not read.is_float:
            raise NotApplicable(f"opset {new.opset} has no Max of integers")
        copy = new.op("Max", read, read)
        return new.clone_node(*(copy if each is not None and each.name == read.name else each for each in operands))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Changes of shape, products, copies, bounds, bodies; and nodes that MNN does not move."""
        turned = "(float[2,3,4] x) => (float[2,4,3] s, float[2,4,3] y)"
        return (
            *_changes_of_shape(),
            *_products(),
            *_groups(),
            unchanged("sum with itself", f"{_FLAT} {{ s = Flatten(x) y = Add(s, s) }}"),
            unchanged("cube", f"{_FLAT} <float c = {{3.0}}> {{ s = Flatten(x) y = Pow(s, c) }}"),
            unchanged(
                "sums of products, turned",
                """(float[5,12] x) => (float[3,5] s, float[3,5] y)
                { s = Einsum<equation="ij,jk->ki">(x, w) y = Sigmoid(s) }""",
                opset=13,
                w=_W,
            ),
            unchanged("no output", "(float[2,3,4] x) => (float[2,12] y) { s = Flatten(x) y = Sigmoid(s) }"),
            unchanged("read elsewhere", f"{_FLAT} {{ s = Flatten(x) t = Sigmoid(s) y = Add(s, t) }}"),
            unchanged("Softmax", f"{_FLAT} {{ s = Flatten(x) y = Softmax(s) }}"),
            unchanged("no change of shape", f"{turned} {{ s = Transpose<perm=[0,2,1]>(x) y = Sigmoid(s) }}"),
        )


# Parts of the examples.
_FLAT = "(float[2,3,4] x) => (float[2,12] s, float[2,12] y)"
_W, _B = (12, 3), (3,)


def _changes_of_shape() -> tuple[Example, ...]:
    """Outputs of another shape."""
    branch = """then_branch = one () => (float[24] p, float[24] q) { p = Reshape(x, n) q = Abs(p) },
        else_branch = two () => (float[24] r, float[24] t) { r = Reshape(x, n) t = Exp(r) }"""
    return (
        rewritten("flattened", f"{_FLAT} {{ s = Flatten(x) y = Sigmoid(s) }}", becomes="Flatten, Max, Sigmoid"),
        rewritten(
            "reshaped",
            f"{_FLAT} <int64[2] n = {{2, 12}}> {{ s = Reshape(x, n) y = Relu(s) }}",
            becomes="Max, Relu, Reshape",
            opset=7,
        ),
        rewritten(
            "bounds",
            f"{_FLAT} <float low = {{-1.0}}> {{ s = Flatten(x) y = Clip(s, low) }}",
            becomes="Clip, Flatten, Max",
        ),
        rewritten(
            "a copy is read",
            f"{_FLAT} {{ s = Flatten(x) t = Identity(s) y = Tanh(t) }}",
            becomes="Flatten, Identity, Max, Tanh",
        ),
        rewritten(
            "in a branch",
            f"(float[2,12] x, bool c) => (float[24] s, float[24] y) <int64[1] n = {{24}}> {{ s, y = If<{branch}>(c) }}",
            becomes="If{Abs, Max, Reshape | Exp, Max, Reshape}",
        ),
    )


def _groups() -> tuple[Example, ...]:
    """Nodes of which MNN makes one operator."""
    return (
        rewritten("square", f"{_FLAT} {{ s = Flatten(x) y = Mul(s, s) }}", becomes="Flatten, Max, Mul"),
        rewritten(
            "power of 2",
            f"{_FLAT} <float two = {{2.0}}> {{ s = Flatten(x) y = Pow(s, two) }}",
            becomes="Flatten, Max, Pow",
        ),
        rewritten(
            "SiLU",
            f"{_FLAT} {{ s = Flatten(x) t = Sigmoid(s) y = Mul(t, s) }}",
            becomes="Flatten, Max, Mul, Sigmoid",
        ),
        rewritten(
            "HardSwish written out",
            f"""{_FLAT} <float three = {{3.0}}, float low = {{0.0}}, float six = {{6.0}}>
            {{ s = Flatten(x) a = Add(s, three) c = Clip(a, low, six) m = Mul(s, c) y = Div(m, six) }}""",
            becomes="Add, Clip, Div, Flatten, Max, Mul",
        ),
        rewritten(
            "GELU by Tanh",
            f"""{_FLAT} <float three = {{3.0}}, float k = {{0.044715}}, float r = {{0.7978846}}, float one = {{1.0}},
            float half = {{0.5}}> {{ s = Flatten(x) p = Pow(s, three) q = Mul(p, k) a = Add(s, q) b = Mul(a, r)
            t = Tanh(b) d = Add(t, one) h = Mul(d, half) y = Mul(s, h) }}""",
            becomes="2 Add, Flatten, Max, 4 Mul, Pow, Tanh",
        ),
        rewritten(
            "read by equal nodes",
            f"{_FLAT} {{ s = Flatten(x) a = Neg(s) b = Neg(s) c = Exp(a) d = Abs(b) y = Add(c, d) }}",
            becomes="Abs, Add, Exp, Flatten, 2 Max, 2 Neg",
        ),
        rewritten(
            "behind another change of shape",
            f"""{_FLAT} <int64[1] n = {{24}}, int64[2] m = {{2, 12}}>
            {{ s = Flatten(x) f = Reshape(s, n) e = Exp(f) y = Reshape(e, m) }}""",
            becomes="Exp, Flatten, Max, 2 Reshape",
        ),
    )


def _products() -> tuple[Example, ...]:
    """Products of matrices, and ArgMax."""
    scores = "(float[2,5,12] x) => (float[2,5,3] s, float[2,5,3] y)"
    return (
        rewritten("logits", f"{scores} {{ s = MatMul(x, w) y = Sigmoid(s) }}", becomes="MatMul, Max, Sigmoid", w=_W),
        rewritten(
            "product and bias",
            f"{scores} {{ p = MatMul(x, w) s = Add(p, b) y = Sigmoid(s) }}",
            becomes="Add, MatMul, Max, Sigmoid",
            w=_W,
            b=_B,
        ),
        rewritten(
            "integers",
            "(float[2,3] x) => (int64[2,1] s, int64[2,1] y) { s = ArgMax<axis=1>(x) y = Neg(s) }",
            becomes="ArgMax, Max, Neg",
        ),
        rewritten(
            "written as a sum of products",
            """(float[2,5,12] x) => (float[2,5,3] s, float[2,5,3] y)
            { s = Einsum<equation="bij,jk->bik">(x, w) y = Sigmoid(s) }""",
            becomes="Einsum, Max, Sigmoid",
            opset=13,
            w=_W,
        ),
    )
