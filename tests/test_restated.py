"""What a file states more than once, or where nobody reads it: the model is that which ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

import mnncompat
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto, load

Change = Callable[[ModelProto], None]


def stored(value: float) -> TensorProto:
    return numpy_helper.from_array(np.full(2, value, np.float32), "w")


def adding(*, constant: bool = False) -> ModelProto:
    """``y = x + w`` with w = 1."""
    nodes = [helper.make_node("Constant", [], ["w"], value=stored(1.0))] if constant else []
    graph = helper.make_graph(
        [*nodes, helper.make_node("Add", ["x", "w"], ["y"], name="sum")],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [] if constant else [stored(1.0)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def computed(model: ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.zeros(2, np.float32)})[0])


def another_initializer(model: ModelProto) -> None:
    model.graph.initializer.append(stored(5.0))


def another_constant(model: ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=stored(5.0)))


def operand_of_a_constant(model: ModelProto) -> None:
    model.graph.node[0].input.append("x")


def other_fields_of_a_constant(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].f = 3.0
    model.graph.node[0].attribute[0].ints.append(4)


def tensor_of_a_constant_that_says_floats(model: ModelProto) -> None:
    """ONNX Runtime takes the numbers, of which there are none; broadcasting needs one."""
    held = model.graph.node[0].attribute[0]
    held.type = AttributeProto.FLOAT


def name_of_another_type(model: ModelProto) -> None:
    held = model.graph.node[0].attribute[0]
    held.Clear()
    held.name, held.type = "value", AttributeProto.FLOATS
    held.floats.extend([1.5, 2.5])


def reference_outside_of_a_function(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].ref_attr_name = "value"


def segment_of_a_tensor(model: ModelProto) -> None:
    model.graph.initializer[0].segment.end = 1


def function_that_nothing_calls(model: ModelProto) -> None:
    body = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["a"], ["b"])]
    imports = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("my", "F", ["a"], ["b"], body, imports))


def malformed_initializer_that_a_branch_shadows(model: ModelProto) -> None:
    bad = stored(0.0)
    bad.name, bad.dims[:] = "k", [7, 7]
    model.graph.initializer.append(bad)
    inner = numpy_helper.from_array(np.zeros(2, np.float32), "k")
    result = [helper.make_tensor_value_info("r", TensorProto.FLOAT, [2])]
    branch = helper.make_graph([helper.make_node("Add", ["x", "k"], ["r"])], "branch", [], result, [inner])
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], bool).reshape(()), "c"))
    model.graph.node.insert(0, helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [2]))


@pytest.mark.parametrize(
    ("change", "constant"),
    [
        (another_initializer, False),
        (another_constant, False),
        (another_constant, True),
        (operand_of_a_constant, True),
        (other_fields_of_a_constant, True),
        (tensor_of_a_constant_that_says_floats, True),
        (name_of_another_type, True),
        (reference_outside_of_a_function, True),
        (segment_of_a_tensor, False),
        (function_that_nothing_calls, False),
        (malformed_initializer_that_a_branch_shadows, False),
    ],
)
def test_what_onnx_runtime_runs_is_read_as_it_runs_it(change: Change, constant: bool, tmp_path: Path) -> None:  # noqa: FBT001
    model = adding(constant=constant)
    change(model)
    given = model.SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(given)
    expected = computed(model)
    for read in (load(path), from_proto(model)):
        assert computed(read.proto) == pytest.approx(expected)
    assert model.SerializeToString() == given
    assert path.read_bytes() == given


def test_a_value_that_is_stated_twice_is_reported_and_fixed() -> None:
    model = adding()
    another_initializer(model)
    assert [each.code for each in mnncompat.check(model).diagnostics] == ["MNN047"]
    result = mnncompat.fix(model)
    assert [each.rewrite for each in result.applied] == ["single-values"]
    assert computed(result.model.proto) == pytest.approx([5.0, 5.0])
    assert mnncompat.check(result.model.proto).diagnostics == ()


@pytest.mark.parametrize("change", [tensor_of_a_constant_that_says_floats, name_of_another_type])
def test_a_constant_of_which_mnn_takes_something_else_is_reported_and_fixed(change: Change) -> None:
    model = adding(constant=True)
    change(model)
    assert [each.code for each in mnncompat.check(model).diagnostics] == ["MNN047"]
    result = mnncompat.fix(model)
    assert [each.rewrite for each in result.applied] == ["single-values"]
    assert computed(result.model.proto) == pytest.approx(computed(model))
    assert mnncompat.check(result.model.proto).diagnostics == ()


def test_the_same_stated_twice_is_no_finding() -> None:
    model = adding()
    model.graph.initializer.append(stored(1.0))
    assert mnncompat.check(model).diagnostics == ()
    assert not mnncompat.fix(model).changed


@pytest.mark.parametrize("place", ["initializer", "field"])
def test_data_outside_are_refused_also_where_nobody_reads_them(place: str, tmp_path: Path) -> None:
    """MNN might: its converter reads the file as it is."""
    model = adding(constant=True)
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="/etc/passwd")
    if place == "initializer":
        model.graph.initializer.append(outside)
    else:
        held = model.graph.node[0].attribute[0]
        held.type, held.f = AttributeProto.FLOAT, 1.0
        held.t.CopyFrom(outside)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="absolute path"):
        load(path)
