"""Two layers as one: any sizes, forms and biases, proven against the original; how much is saved is what is said."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mnncompat import check, fix

_SIZE = st.integers(1, 9)


def two_layers(sizes: tuple[int, int, int], kinds: tuple[str, str], biases: tuple[bool, bool], rank: int) -> ModelProto:
    """Sizes are those of the input, between the layers, and of the output; a kind is Gemm, Gemm' or MatMul."""
    rng = np.random.default_rng(sum(sizes))
    nodes, stored, value = [], [], "x"
    for number, (kind, biased) in enumerate(zip(kinds, biases, strict=True)):
        shape = (sizes[number], sizes[number + 1])
        held = {"w": rng.standard_normal(shape[::-1] if kind == "Gemm'" else shape), "b": rng.standard_normal(shape[1])}
        stored += [numpy_helper.from_array(array.astype(np.float32), f"{key}{number}") for key, array in held.items()]
        operands, result = [value, f"w{number}"], "y" if number else "h"
        if kind != "MatMul":
            operands += [f"b{number}"] if biased else []
            nodes.append(helper.make_node("Gemm", operands, [result], transB=int(kind == "Gemm'")))
        elif biased:
            nodes.append(helper.make_node("MatMul", operands, [f"p{number}"]))
            nodes.append(helper.make_node("Add", [f"p{number}", f"b{number}"], [result]))
        else:
            nodes.append(helper.make_node("MatMul", operands, [result]))
        value = result
    axes: list[str | int] = ["N", 3] if rank > 2 else ["N"]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes, size])
        for name, size in (("x", sizes[0]), ("y", sizes[2]))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sizes=st.tuples(_SIZE, _SIZE, _SIZE),
    kinds=st.tuples(*[st.sampled_from(("Gemm", "Gemm'", "MatMul"))] * 2),
    biases=st.tuples(st.booleans(), st.booleans()),
    deep=st.booleans(),
)
def test_two_layers_are_one(
    sizes: tuple[int, int, int], kinds: tuple[str, str], biases: tuple[bool, bool], *, deep: bool
) -> None:
    rank = 3 if deep and set(kinds) == {"MatMul"} else 2
    model = two_layers(sizes, kinds, biases, rank)
    inputs, middle, outputs = sizes
    expected = outputs * inputs <= middle * (inputs + outputs)
    result = fix(model, select=["layers-combined"])
    assert result.changed is expected
    if expected:
        assert result.proven
        assert sum(node.op_type in ("Gemm", "MatMul") for node in result.model.proto.graph.node) == 1
        weights = {tensor.name: tuple(tensor.dims) for tensor in result.model.proto.graph.initializer}
        assert sorted(dims for dims in weights.values() if len(dims) > 1) in ([(inputs, outputs)], [(outputs, inputs)])


@pytest.mark.parametrize("shared", [False, True])
def test_check_finds_what_is_combined_and_the_weights_that_go(*, shared: bool) -> None:
    model = two_layers((8, 6, 3), ("Gemm", "MatMul"), (True, False), 2)
    if shared:
        model.graph.node.append(helper.make_node("MatMul", ["x", "w0"], ["z"]))
        model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 6]))
    onnx.checker.check_model(model)
    found = [each.message for each in check(model).diagnostics if each.code == "MNN904"]
    told = "Gemm and MatMul 8 -> 6 -> 3 can be one layer 8 -> 3, 42 weights fewer"
    assert found == ([] if shared else [told])


def test_a_chain_is_one_layer_in_the_end() -> None:
    model = two_layers((8, 6, 3), ("MatMul", "MatMul"), (False, False), 2)
    model.graph.node.append(helper.make_node("MatMul", ["y", "u"], ["z"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3, 2), np.float32), "u"))
    model.graph.output[0].name, model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = "z", 2
    result = fix(model)
    assert result.proven
    assert [node.op_type for node in result.model.proto.graph.node] == ["MatMul"]
