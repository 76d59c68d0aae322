"""ConstantOfShape with its value stated, in a type that MNN reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_READ = (TensorProto.FLOAT, TensorProto.INT32)


class ConstantOfShapeValue(NodeRewrite):
    """State the value of a ConstantOfShape, as float or int32.

    **What.** ConstantOfShape without ``value``, or with one of a type that MNN does not read.

    **Why.** MNN fills the result from memory that was never written.

    **Before and after**::

        y = ConstantOfShape(s)
        y = ConstantOfShape<value=[0.0]>(s)

    A value of another type is stated as float or int32 and cast.

    **Algebra.** Zero is ONNX's default; float16, bfloat16 and small integers are exact as float and int32.

    **Source.** MNN 3.6.1, tools/converter/source/onnx/ConstantOfShapeOnnx.cpp
    """

    code = "MNN873"
    name = "constant-of-shape-value"
    summary = "the value is stated, in a type that MNN reads"
    op_types = ("ConstantOfShape",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the node with a value, and the cast."""
        value = np.zeros(1, np.float32)
        for item in node.node.attribute:
            if item.name == "value":
                value = tensor_array(item.t)
        dtype = int(helper.np_dtype_to_tensor_dtype(value.dtype))
        kind = np.float32 if dtype in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16) else np.int32
        (result,) = new.clone_node(value=array_tensor(value.astype(kind).reshape(1)))
        return new.cast(result, dtype)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """No value, and types that MNN does not read."""
        model = "(float[3,2] x) => (float[3,2] y) { s = Shape(x) z = ConstantOfShape%s(s) y = Add(x, z) }"
        return (
            rewritten("default", model.replace("3,2", "N,2") % "", becomes="Add, ConstantOfShape, Shape"),
            rewritten(
                "small integers",
                """(float[N,2] x) => (float[N,2] y) {
                s = Shape(x) i = ConstantOfShape<value=int8[1] {-3}>(s) z = Cast<to=1>(i) y = Add(x, z) }""",
                becomes="Add, 2 Cast, ConstantOfShape, Shape",
            ),
            unchanged("stated", model % "<value=float[1] {1.5}>"),
        )
