"""Shapes behind computed Reshape targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import array, model_of
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mnncompat import fix
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model


def squeeze_and_excite(opset: int) -> ModelProto:
    """A block as torch's exporter writes ``y = pool(x).view(b, c)`` and ``y.view(b, c, 1, 1)``, then a classifier."""

    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Shape", ["c"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        *unsqueezed("n", "n1", opset),
        helper.make_node("Concat", ["n1", "eight"], ["t1"], axis=0),
        helper.make_node("Reshape", ["p", "t1"], ["v"]),
        helper.make_node("Gemm", ["v", "w1", "b1"], ["h"]),
        helper.make_node("Sigmoid", ["h"], ["g"]),
        helper.make_node("Concat", ["n1", "rest"], ["t2"], axis=0),
        helper.make_node("Reshape", ["g", "t2"], ["g4"]),
        helper.make_node("Mul", ["c", "g4"], ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"]),
    ]
    weights = {"k": array(8, 3, 3, 3), "w1": array(8, 8), "w2": array(8 * 16, 5), "b1": array(8), "b2": array(5)}
    model = model_of(nodes, {"x": ["batch", 3, 6, 6]}, {"y": ["batch", 5]}, weights, opset=opset)
    numbers = {"zero": np.array(0), "eight": np.array([8]), "rest": np.array([-1, 1, 1]), "axes": np.array([0])}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in numbers.items())
    return model


def unsqueezed(source: str, result: str, opset: int) -> list[NodeProto]:
    if opset < 13:
        return [helper.make_node("Unsqueeze", [source], [result], axes=[0])]
    return [helper.make_node("Unsqueeze", [source, "axes"], [result])]


@pytest.mark.parametrize("opset", [9, 11, 13, 14, 18])
def test_inference_follows_targets_that_were_computed_from_shapes(opset: int) -> None:
    model = squeeze_and_excite(opset)
    view = view_model(from_proto(model)).main
    assert view.shape("v") == ("batch", 8)
    assert view.shape("m") == ("batch", 8, 4, 4)
    assert "resolved" not in str(model)


def test_numbers_may_be_attributes_of_constants() -> None:
    model = squeeze_and_excite(13)
    stated: dict[str, dict[str, Any]] = {"zero": {"value_int": 0}, "eight": {"value_ints": [8]}}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in stated]
    nodes = [helper.make_node("Constant", [], [name], **value) for name, value in stated.items()]
    nodes.extend(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    view = view_model(from_proto(model)).main
    assert view.shape("v") == ("batch", 8)
    assert view.shape("m") == ("batch", 8, 4, 4)


@pytest.mark.parametrize("opset", [9, 11, 13, 14, 18])
def test_heads_behind_such_blocks_are_rewritten(opset: int) -> None:
    result = fix(squeeze_and_excite(opset), head="spatial")
    assert result.proven
    assert "Gemm" not in [node.op_type for node in result.model.proto.graph.node]


def test_a_target_from_another_batch_is_left_alone() -> None:
    nodes = [
        helper.make_node("Shape", ["z"], ["s"]),
        helper.make_node("Slice", ["s"], ["n"], starts=[0], ends=[1]),
        helper.make_node("Concat", ["n", "minus"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["r"]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    model = model_of(nodes, {"x": ["n", 2, 3], "z": ["other", 1]}, {"y": None}, {}, opset=9)
    model.graph.initializer.append(helper.make_tensor("minus", 7, [1], [-1]))
    shape = view_model(from_proto(model)).main.shape("r")
    assert shape is None or shape[1] != 6


def test_a_target_of_unknown_sizes_still_tells_the_rank() -> None:
    """MNN crashes on a pool over three axes, which only the rank shows."""
    nodes = [
        helper.make_node("Reshape", ["x", "s"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Relu", ["p"], ["y"]),
    ]
    model = model_of(nodes, {"x": ["n", 96]}, {"y": None}, {})
    model.graph.input.append(helper.make_tensor_value_info("s", TensorProto.INT64, [5]))
    view = view_model(from_proto(model)).main
    assert view.shape("r") == (None,) * 5
    assert (len(view.shape("p") or ()), len(view.shape("y") or ())) == (5, 5)
    target = np.array([-1, 2, 3, 4, 4])
    result = fix(model, inputs={"s": target})
    assert [each.rewrite for each in result.applied] == ["global-pool-flat"]
    assert result.proven
