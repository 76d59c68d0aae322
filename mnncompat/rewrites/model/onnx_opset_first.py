"""The ONNX domain first among the opset imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import ModelProto

from mnncompat.graph.protos import ONNX_DOMAINS
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.model_rewrite import ModelRewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.graph.view import ModelView
    from mnncompat.rewrites.core.model_rewrite import RewriteLocation


class OnnxOpsetFirst(ModelRewrite):
    """Put the ONNX domain first among the opset imports.

    **What.** A model whose ``opset_import`` begins with another domain.

    **Why.** MNN uses the first entry as the ONNX opset, which decides how it reads operators whose meaning changed
    (Softmax).

    **Before and after**::

        opset_import: [ai.onnx.ml 1, "" 13]
        opset_import: ["" 13, ai.onnx.ml 1]

    **Algebra.** The order of the imports has no meaning in ONNX.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/onnxConverter.cpp (``opsetInfo.begin()``)
    """

    code = "MNN803"
    name = "onnx-opset-first"
    summary = "the ONNX domain is put first in opset_import"

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:  # noqa: ARG002
        """The model with its imports in another order."""
        result = ModelProto()
        result.CopyFrom(model.proto)
        imports = sorted(model.proto.opset_import, key=lambda entry: entry.domain not in ONNX_DOMAINS)
        del result.opset_import[:]
        result.opset_import.extend(imports)
        return result

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A Softmax in a model with another domain first, and one that MNN reads correctly with either version."""
        text = "(float[2,3,4] x) => (float[2,3,4] y) { y = Softmax<axis=1>(x) }"
        return (
            rewritten("another domain first", text, becomes="Softmax", imports='"ai.onnx.ml": 1, "": 13'),
            unchanged("ONNX first", text, imports='"": 13, "ai.onnx.ml": 1'),
        )
