"""What is asked of a graph after shape inference."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from mnncompat.inference.inferred_values import InferredValues


def test_shapes_and_producers_of_values() -> None:
    graph = onnx.parser.parse_graph("g (float[N,3] x) => (float[N,3] y) { r = Relu(x) y = Neg(r) }")
    values = InferredValues(graph, graph)
    assert values.dims("x") == ("N", 3)
    assert values.dims("r") is None
    assert values.dims("absent") is None
    assert values.producers["y"].op_type == "Neg"


def test_of_a_value_that_is_stated_twice_the_last_shape_counts() -> None:
    graph = onnx.parser.parse_graph("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    for shape in ([4, 3], None):
        graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))
    assert InferredValues(graph, graph).dims("y") == (4, 3)
