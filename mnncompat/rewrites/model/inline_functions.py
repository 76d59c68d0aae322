"""Functions of a model, inlined where they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.inliner

from mnncompat.graph.validation import called_functions
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation
from mnncompat.rewrites.core.subgraph_builder import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from mnncompat.graph.view import ModelView


class InlineFunctions(ModelRewrite):
    """Inline the functions of a model where they are called.

    **What.** Calls of functions that the model defines itself, such as torch's exporters write with
    ``export_modules_as_functions`` or onnxscript.

    **Why.** MNN reads no functions: a call is refused, or, where the function has the name of an ONNX operator, run as
    that.

    **Before and after**::

        y = my.domain::Block(x, w)
        h = MatMul(x, w); y = Relu(h)

    **Algebra.** A call is defined by the function's body. `onnx.inliner` substitutes operands and attributes.

    **Source.** https://onnx.ai/onnx/api/inliner.html; MNN 3.6.1, tools/converter/source/onnx/onnxConverter.cpp
    (functions are not read)
    """

    code = "MNN805"
    name = "inline-functions"
    summary = "the model's functions are written where they are called"

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:  # noqa: ARG002
        """The model without functions, except those that are not called.

        Raises:
            NotApplicable: ONNX cannot write one where it is called.
        """
        try:
            result = onnx.inliner.inline_local_functions(model.proto)
        except Exception as error:  # C++ errors have no common base
            raise NotApplicable(f"ONNX cannot write the functions where they are called: {error}") from error
        left = called_functions(result)
        if left:
            raise NotApplicable(f"ONNX leaves calls of the function '{left[0].name}', which imports other opsets")
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Functions that call functions, take attributes, and bear the name of an operator; and a model without."""
        return (
            rewritten(
                "attribute and nested call",
                """(float[2,3] x) => (float[2,3] y) { y = my.outer<factor = 0.5>(x) }
                <opset_import: ["": 17, "my": 1], domain: "my">
                outer<factor>(a) => (b) { c = my.inner(a) d = LeakyRelu<alpha: float = @factor>(c) b = Neg(d) }
                <opset_import: ["": 17], domain: "my">
                inner(a) => (b) { b = Neg(a) }""",
                becomes="LeakyRelu, 2 Neg",
                imports='"": 17, "my": 1',
            ),
            rewritten(
                "named as an operator",
                """(float[2,3] x) => (float[2,3] y) { y = my.Relu(x) }
                <opset_import: ["": 17], domain: "my">
                Relu(a) => (b) { c = Abs(a) b = Exp(c) }""",
                becomes="Abs, Exp",
                imports='"": 17, "my": 1',
            ),
            unchanged("no functions", "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }", opset=17),
        )
