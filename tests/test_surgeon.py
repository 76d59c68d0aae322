"""The parts of a model that a rewrite does not touch are written as they were read."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from models import array, head, model_of
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from mnncompat import fix
from mnncompat.graph.editor import ModelEditor
from mnncompat.graph.surgeon_values import detach


def rich_head() -> ModelProto:
    """The classifier with everything that graphsurgeon is known to lose."""
    model = head()
    model.doc_string, model.domain, model.model_version = "a model", "org.example", 7
    model.producer_name, model.producer_version = "a producer", "1.2"
    model.metadata_props.add(key="names", value="{0: 'cat'}")
    model.opset_import.append(helper.make_opsetid("com.example", 3))
    graph = model.graph
    graph.name, graph.doc_string = "the graph", "a graph"
    graph.input[0].doc_string = "an image"
    graph.output[0].doc_string = "scores"
    graph.node[0].doc_string = "the first"
    graph.node[0].attribute[0].doc_string = "a kernel"
    graph.initializer[0].doc_string = "weights"
    graph.initializer.append(numpy_helper.from_array(np.arange(3, dtype=np.int64), "unused"))
    graph.value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, ["n", 5, 4, 4]))
    graph.value_info[0].doc_string = "features"
    note = graph.quantization_annotation.add(tensor_name="c")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    graph.quantization_annotation.add(tensor_name="m")
    return model


def test_an_edit_of_nothing_changes_nothing() -> None:
    model = rich_head()
    before = model.SerializeToString(deterministic=True)
    assert ModelEditor(model).export().SerializeToString(deterministic=True) == before
    assert model.SerializeToString(deterministic=True) == before


def test_nodes_that_look_alike_are_told_apart() -> None:
    """graphsurgeon compares them by what they state: its `clear` would leave `second` behind the value."""
    value = gs.Variable("x")
    first, second = (gs.Node("Relu", inputs=[value]) for _ in range(2))
    detach(second.inputs)
    assert [each is first for each in value.outputs] == [True]
    first.outputs.append(gs.Variable("y"))
    detach(first.inputs)
    assert not value.outputs
    assert not first.inputs


def test_what_graphsurgeon_loses_survives_a_fix() -> None:
    model = rich_head()
    fixed = fix(model).model.proto
    onnx.checker.check_model(fixed, full_check=True)
    for name in ("doc_string", "domain", "model_version", "producer_name", "producer_version", "ir_version"):
        assert getattr(fixed, name) == getattr(model, name), name
    assert list(fixed.metadata_props) == list(model.metadata_props)
    assert list(fixed.opset_import) == list(model.opset_import)
    graph = fixed.graph
    assert (graph.name, graph.doc_string) == ("the graph", "a graph")
    assert list(graph.input) == list(model.graph.input)
    assert list(graph.output) == list(model.graph.output)
    assert graph.node[0] == model.graph.node[0]
    kept = {tensor.name: tensor for tensor in graph.initializer}
    assert kept["k"] == model.graph.initializer[0]
    assert "unused" in kept
    assert {"w1", "b1", "w2", "b2"}.isdisjoint(kept)
    assert model.graph.value_info[0] in graph.value_info
    assert [note.tensor_name for note in graph.quantization_annotation] == ["c"]


def test_functions_and_training_info_survive() -> None:
    model = head()
    model.opset_import.append(helper.make_opsetid("my", 1))
    operands = [f"a{place}" for place in range(len(model.graph.node[4].input))]
    body = [helper.make_node("Relu", ["a0"], ["b"])]
    model.functions.append(helper.make_function("my", "Act", operands, ["b"], body, [helper.make_opsetid("", 13)]))
    model.graph.node[4].op_type, model.graph.node[4].domain = "Act", "my"
    model.training_info.add().algorithm.name = "sgd"
    fixed = fix(model, ignore=["inline-functions"]).model.proto
    assert list(fixed.functions) == list(model.functions)
    assert list(fixed.training_info) == list(model.training_info)
    assert [node.op_type for node in fixed.graph.node].count("Act") == 1


def test_inputs_that_are_initializers_stay_and_new_ones_are_added_for_old_ir_versions() -> None:
    model = head()
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    fixed = fix(model).model.proto
    onnx.checker.check_model(fixed, full_check=True)
    stored = {tensor.name for tensor in fixed.graph.initializer}
    assert [value.name for value in fixed.graph.input][:2] == ["x", "k"]
    assert {value.name for value in fixed.graph.input} == {"x"} | stored


def test_attributes_that_graphsurgeon_does_not_know_survive_an_edit() -> None:
    node = helper.make_node("Thing", ["x"], ["y"], name="thing", domain="my", alpha=0.5, label=b"\xff\xfe")
    tensors = AttributeProto(name="tables", type=AttributeProto.TENSORS)
    tensors.tensors.append(numpy_helper.from_array(array(2), "t"))
    node.attribute.append(tensors)
    del node.attribute[1]  # bytes that are not UTF-8: graphsurgeon cannot read them at all
    node.doc_string = "a thing"
    model = model_of([node], {"x": [1]}, {"y": [1]}, {})
    model.opset_import.append(helper.make_opsetid("my", 1))
    editor = ModelEditor(model)
    editor.graph(()).edit(0).attrs["beta"] = 2
    edited = editor.export().graph.node[0]
    assert {attribute.name for attribute in edited.attribute} == {"alpha", "tables", "beta"}
    assert edited.doc_string == "a thing"
    assert next(a for a in edited.attribute if a.name == "tables") == tensors


@pytest.mark.parametrize("name", ["y", "w1", "fc1_conv"])
def test_new_names_never_collide(name: str) -> None:
    model = head()
    for node in model.graph.node:
        node.output[:] = [f"{name}_4d" if out == "c" else out for out in node.output]
        node.input[:] = [f"{name}_4d" if value == "c" else value for value in node.input]
    fixed = fix(model)
    names = [out for node in fixed.model.proto.graph.node for out in node.output]
    assert len(names) == len(set(names))
    assert fixed.proven
