"""Malformed models, found by the fuzzer: one clear error that names the part; what ONNX Runtime takes is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

import mnncompat
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto, load


def linear() -> ModelProto:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], name="fc", alpha=0.5),
        helper.make_node("Relu", ["h"], ["y"], name="act"),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [numpy_helper.from_array(np.ones((3, 4), np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _function(name: str, calls: list[str]) -> onnx.FunctionProto:
    nodes = [helper.make_node(each, ["a"], [f"b{i}"], domain="my") for i, each in enumerate(calls)]
    nodes.append(helper.make_node("Relu", ["a"], ["c"]))
    return helper.make_function("my", name, ["a"], ["c"], nodes, [helper.make_opsetid("", 17)])


def recursive(model: ModelProto) -> None:
    model.functions.extend([_function("F", ["G"]), _function("G", ["F"])])


def nested_calls(model: ModelProto) -> None:
    model.functions.extend(_function(f"F{level}", [f"F{level + 1}"] * 2) for level in range(31))
    model.graph.node[1].op_type, model.graph.node[1].domain = "F0", "my"
    model.opset_import.append(helper.make_opsetid("my", 1))


def same_functions(model: ModelProto) -> None:
    model.functions.extend([_function("F", []), _function("F", [])])


def dims_beyond_data(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 2**62


def negative_dims(model: ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -3


def raw_too_long(model: ModelProto) -> None:
    model.graph.initializer[0].raw_data += b"\0"


def unknown_dtype(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 77


def unknown_input_type(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = -1


def unknown_type_in_a_sequence(model: ModelProto) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(77, [2]))
    model.graph.value_info.append(helper.make_value_info("h", kind))


def many_axes(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.dims[:] = [1] * 80
    tensor.raw_data = b"\0" * 4


def without_operands(model: ModelProto) -> None:
    del model.graph.node[0].input[:]


def without_results(model: ModelProto) -> None:
    model.graph.node[0].output[0] = ""
    model.graph.node[1].input[0] = "x"


def opset_beyond_int32(model: ModelProto) -> None:
    model.opset_import[0].version = 2**40


def opset_zero(model: ModelProto) -> None:
    model.opset_import[0].version = 0


def attribute_of_wrong_type(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].CopyFrom(helper.make_attribute("alpha", [1, 2]))


def attribute_without_type(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].type = AttributeProto.UNDEFINED


def attribute_in_other_field(model: ModelProto) -> None:
    attribute = model.graph.node[0].attribute[0]
    attribute.t.CopyFrom(numpy_helper.from_array(np.zeros(2, np.float32)))


def required_attribute_left_out(model: ModelProto) -> None:
    model.graph.node[1].op_type = "Cast"


def sparse_index_outside(model: ModelProto) -> None:
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.array([9]))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))


MALFORMED: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "recursive": (recursive, "calls itself"),
    "nested-calls": (nested_calls, "more than 500000 nodes"),
    "same-functions": (same_functions, "two functions are called 'F'"),
    "dims-beyond-data": (dims_beyond_data, "initializer 'w' holds 48 bytes"),
    "negative-dims": (negative_dims, "initializer 'w' has impossible dimensions: [-3, 4]"),
    "raw-too-long": (raw_too_long, "initializer 'w' holds 49 bytes, but its dimensions [3, 4] take 48"),
    "unknown-dtype": (unknown_dtype, "initializer 'w' is of no type that ONNX has (77)"),
    "unknown-input-type": (unknown_input_type, "'x' is declared of no type that ONNX has (-1)"),
    "unknown-type-in-a-sequence": (unknown_type_in_a_sequence, "'h' is declared of no type that ONNX has (77)"),
    "many-axes": (many_axes, "initializer 'w' has impossible dimensions"),
    "without-operands": (without_operands, "node 'fc' (Gemm, opset 17) has 0 operands; the operator has 2 to 3"),
    "without-results": (without_results, "node 'fc' (Gemm, opset 17) leaves out result 0"),
    "opset-beyond-int32": (opset_beyond_int32, "imports opset 1099511627776 of ai.onnx"),
    "opset-zero": (opset_zero, "imports opset 0 of ai.onnx"),
    "wrong-type": (attribute_of_wrong_type, "node 'fc' (Gemm, opset 17) has attribute 'alpha' of type INTS, not FLOAT"),
    "without-type": (attribute_without_type, "attribute 'alpha' of node 'fc' states no type"),
    "other-field": (attribute_in_other_field, "is of type FLOAT, but holds a value in the field 't'"),
    "required": (required_attribute_left_out, "node 'act' (Cast, opset 17) does not state attribute 'to'"),
    "sparse-index": (sparse_index_outside, "initializer 's' is sparse, and has an index outside of [3]"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case: str, tmp_path: Path) -> None:
    change, expected = MALFORMED[case]
    model = linear()
    change(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    readers: tuple[Callable[[], object], ...] = (lambda: from_proto(model), lambda: load(path))
    for read in readers:
        with pytest.raises(ModelError) as caught:
            read()
        assert expected in caught.value.message


@pytest.mark.parametrize(
    "case", ["dims-beyond-data", "raw-too-long", "unknown-dtype", "without-operands", "opset-zero"]
)
def test_onnx_runtime_refuses_it_too(case: str) -> None:
    import onnxruntime

    model = linear()
    MALFORMED[case][0](model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match="ONNXRuntimeError"):  # its exceptions share no base
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def unread_initializer(model: ModelProto) -> bytes:
    model.graph.initializer.append(TensorProto(name="unread", dims=[5], data_type=TensorProto.FLOAT))
    return model.SerializeToString()


def opset_of_an_unused_domain(model: ModelProto) -> bytes:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2**31))
    return model.SerializeToString()


def name_that_is_no_text(model: ModelProto) -> bytes:
    return model.SerializeToString().replace(b"act", b"\xffct")


def value_that_is_no_text(model: ModelProto) -> bytes:
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "hidden"
    return model.SerializeToString().replace(b"hidden", b"hidd\xc3n")


@pytest.mark.parametrize(
    "change", [unread_initializer, opset_of_an_unused_domain, name_that_is_no_text, value_that_is_no_text]
)
def test_what_onnx_runtime_runs_is_not_refused(change: Callable[[ModelProto], bytes], tmp_path: Path) -> None:
    import onnxruntime

    data = change(linear())
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.ones((2, 3), np.float32)})
    assert found == pytest.approx(np.full((2, 4), 1.5))
    assert mnncompat.check(path).nodes == 2


def test_a_name_that_is_no_text_is_spelled(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(name_that_is_no_text(linear()))
    assert load(path).proto.graph.node[1].name == "\\xffct"


def rewritten_model() -> ModelProto:
    """`linear` with an operator that MNN gets wrong."""
    model = linear()
    model.graph.node[1].op_type = "Hardmax"
    return model


def test_an_initializer_that_nothing_reads_is_dropped_if_it_is_malformed(tmp_path: Path) -> None:
    model = rewritten_model()
    unread_initializer(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert mnncompat.check(path).diagnostics
    result = mnncompat.fix(path)
    assert result.applied
    assert "unread" not in {tensor.name for tensor in result.model.proto.graph.initializer}


def test_what_is_in_the_way_of_a_rewrite_is_named(tmp_path: Path) -> None:
    """Nothing reads it, so `check` looks past it; graphsurgeon reads all of a model that is edited."""
    model = rewritten_model()
    model.graph.node[0].attribute.append(helper.make_attribute("note", b"\xff\xfe"))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert mnncompat.check(path).diagnostics
    with pytest.raises(ModelError, match="'note' of node 'fc'"):
        mnncompat.fix(path)


def test_a_sparse_tensor_that_is_too_large_to_be_written_out_is_refused() -> None:
    model = linear()
    values = numpy_helper.from_array(np.ones(1, np.float32), "k")
    indices = numpy_helper.from_array(np.zeros((1, 2), np.int64), "i")
    model.graph.sparse_initializer.add(values=values, indices=indices, dims=[2**40, 2**40])
    with pytest.raises(ModelError, match="'k' is sparse, and too large"):
        from_proto(model)
