"""Operators of other domains, written with ONNX's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.inference.contrib_op_types import TAKEN_OVER
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN, IN_ONNX_DOMAIN, ML_DOMAIN
from mnncompat.rewrites.contrib import (
    array_ops,
    attention_ops,
    block_quantized_ops,
    fused_ops,
    gelu_ops,
    group_query_ops,
    norm_ops,
    quantized_lstm,
    quantized_ops,
    quantized_products,
)
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value
from mnncompat.rewrites.ml import linear_models, preprocessing, trees
from mnncompat.rewrites.model.expand_function import expanded

if TYPE_CHECKING:
    from mnncompat.graph.editor import GraphEditor
    from mnncompat.graph.protos import Dim
    from mnncompat.rewrites.core.base import Match
    from mnncompat.support.node_facts import NodeFacts

_STEP = 2
"""Position of Range's step."""
_FAMILIES = (
    *(array_ops, attention_ops, block_quantized_ops, fused_ops, gelu_ops, group_query_ops, norm_ops),
    *(quantized_lstm, quantized_ops, quantized_products),
)
_ML_FAMILIES = (linear_models, preprocessing, trees)
EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    op: emit for family in _FAMILIES for op, emit in family.EMITTERS.items()
}
"""How each is emitted, by op type."""
ML_EMITTERS: dict[str, Callable[[NodeFacts, SubgraphBuilder], list[Value | None]]] = {
    op: emit for family in _ML_FAMILIES for op, emit in family.EMITTERS.items()
}
"""How each operator of ai.onnx.ml is emitted."""


def _contradict(one: Sequence[Dim], two: Sequence[Dim]) -> bool:
    """Whether two shapes cannot be of one tensor."""
    if len(one) != len(two):
        return True
    return any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(one, two, strict=True))


class ContribOpToOnnx(NodeRewrite):
    """Write an operator of another domain with ONNX's own.

    **What.** The operators that ONNX Runtime's optimizer and its tools write, domain com.microsoft: Attention,
    MultiHeadAttention, GroupQueryAttention with a cache and rotation, DecoderMaskedMultiHeadAttention,
    RotaryEmbedding, FusedConv, NhwcFusedConv, FusedMatMul, FusedGemm, GemmFastGelu, BiasGelu, FastGelu, QuickGelu,
    BiasSplitGelu, SkipLayerNormalization, SkipSimplifiedLayerNormalization, EmbedLayerNormalization, and those that
    ONNX adopted without a change (Trilu, GatherND, Pad, Range, QuantizeLinear, DequantizeLinear, GridSample).
    SimplifiedLayerNormalization, which they put into ONNX's domain.
    The quantised operators of the same domain, in float arithmetic: QLinearAdd, QLinearMul, QLinearSigmoid,
    QLinearLeakyRelu, QLinearSoftmax, QLinearConcat, QLinearWhere, QLinearAveragePool, QLinearGlobalAveragePool,
    QLinearConv with channels last, NhwcMaxPool, QGemm, MatMulIntegerToFloat and DynamicQuantizeMatMul. Operators of
    ai.onnx.preview that ONNX defines by others (FlexAttention).

    **Why.** MNN's converter ignores domains: it refuses operators whose name it does not know, and runs the others as
    ONNX's operator of that name.

    **Before and after**::

        y = com.microsoft::FusedConv<activation = "Relu">(x, w, b)
        y = Relu(Conv(x, w, b))

        c = com.microsoft::QLinearMul(a, as, az, b, bs, bz, cs, cz)
        c = Cast(Clip(Round((Cast(a) - az) * (Cast(b) - bz) * (as * bs / cs) + cz), 0, 255), to = uint8)

    **Algebra.** ONNX Runtime's documentation defines each by ONNX's operators. Quantised results are rounded as ONNX
    Runtime's kernels for x86 round them, before or after the zero point is added. As measured, all elements are equal,
    except for QLinearAveragePool between equal scales that are no powers of two: there the rounding error of its own
    sum decides how halves are rounded. The result of QLinearSoftmax is scaled by the reciprocal of its scale rounded
    down, as ONNX Runtime does.

    **Refuses** other operators and domains, activations that are no ONNX operator, transposed batches, and scales for
    each row or channel where ONNX Runtime allows only one for the tensor.

    **Source.** https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """

    code = "MNN807"
    name = "contrib-op-to-onnx"
    summary = "written with ONNX's own operators"
    op_types = ()

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
        """Emit the twin."""
        op, domain = node.node.op_type, node.node.domain
        if domain == ML_DOMAIN and op in ML_EMITTERS:
            return _emitted(ML_EMITTERS[op], node, new)
        if domain.startswith("ai.onnx."):
            return expanded(node, new)
        if (domain != CONTRIB_DOMAIN and op not in IN_ONNX_DOMAIN) or not (op in EMITTERS or op in TAKEN_OVER):
            raise NotApplicable(f"{domain}::{op} has no twin in ONNX that is known")
        if op in TAKEN_OVER:
            return _taken_over(node, new)
        return _emitted(EMITTERS[op], node, new)

    def apply(self, match: Match, editor: GraphEditor) -> None:
        """Replace the node, and correct what the model states of the shapes of its results.

        Exporters state shapes of operators that they have no function for, and no checker knows better: skl2onnx writes
        one column for a forest of several targets.
        """
        new: SubgraphBuilder = match.plan
        stated = [new.node.view.shape(name) for name in new.node.node.output]
        super().apply(match, editor)
        for name, there, here in zip(new.node.node.output, stated, new.result_shapes(), strict=True):
            if there is not None and here is not None and _contradict(there, here):
                symbols = there if len(there) == len(here) else (None,) * len(here)
                editor.reshaped(name, [b if isinstance(b, int) else a for a, b in zip(symbols, here, strict=True)])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Operators of each family, one that ONNX adopted without a change, and one without an ONNX equivalent."""
        ms = '"": 17, "com.microsoft": 1'
        return (
            *(example for family in (*_FAMILIES, *_ML_FAMILIES) for example in family.examples()),
            rewritten(
                "same in ONNX",
                "(float[3,3] x) => (float[3,3] y) { y = com.microsoft.Trilu(x) }",
                becomes="Trilu",
                imports=ms,
            ),
            refused(
                "no twin",
                "has no twin",
                "(float[2,4] x) => (float[2,4] y) { y = com.microsoft.BiasDropout(x, b) }",
                imports=ms,
                b=(4,),
            ),
            unchanged("ONNX's own", "(float[2,4] x) => (float[2,4] y) { y = Relu(x) }"),
        )


def _taken_over(node: NodeFacts, new: SubgraphBuilder) -> Sequence[Value | None]:
    """ONNX's operator, with what it demands and the other one does not: indices of int64, and a step."""
    if node.node.op_type == "GatherND" and new.input(1).dtype == TensorProto.INT32:
        return new.clone_node(new.input(0), new.cast(new.input(1), TensorProto.INT64))
    if node.node.op_type == "Range" and not new.has(_STEP):
        first = new.input(0)
        return new.clone_node(first, new.input(1), np.ones((), first.element))
    return new.clone_node()


def _emitted(
    emit: Callable[[NodeFacts, SubgraphBuilder], list[Value | None]], node: NodeFacts, new: SubgraphBuilder
) -> list[Value | None]:
    """What an emitter gives. ONNX has no schema by which to check the attributes and constants that it reads.

    Raises:
        NotApplicable: They contradict one another: lists of other lengths, numbers out of range.
    """
    try:
        return emit(node, new)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, ZeroDivisionError) as error:
        reason = f"its attributes and constants do not fit together ({type(error).__name__}: {error})"
        raise NotApplicable(reason) from error
