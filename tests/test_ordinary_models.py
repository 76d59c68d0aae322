"""The single pass over an ordinary model says what the passes that it stands for would: nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

from mnncompat.graph.node_columns import read_columns
from mnncompat.graph.ordinary_models import ordinary
from mnncompat.graph.stored_tensors import tensors

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[2,3] x) => (float[2,3] y) <float[3] w = {1.0, 2.0, 3.0}, float hi = {6.0}>
{
    c = Constant<value = float[3] {1.0, 1.0, 1.0}>()
    a = Add(x, w)
    b = Mul(a, c)
    y = Clip(b, , hi)
}
"""


def model() -> ModelProto:
    """A model with an initializer, a Constant, and an operand that is left out."""
    made = parser.parse_model(
        MODEL.replace("w0", "hi").replace("{1.0, 2.0, 3.0}>", "{1.0, 2.0, 3.0}, float hi = {6.0}>")
    )
    for number, node in enumerate(made.graph.node):
        node.name = f"n{number}"
    return made


def test_an_ordinary_model_is_told_with_its_tensors() -> None:
    made = model()
    found = ordinary(made)
    assert found is not None
    assert [each.name for each in found.stored] == [each.name for each in tensors(made)]
    assert len(found.stored) == 3
    assert found.columns == read_columns(made.graph.node)


def _swap(made: ModelProto) -> None:
    first, *others = made.graph.node
    nodes = [NodeProto.FromString(each.SerializeToString()) for each in (*others[::-1], first)]
    del made.graph.node[:]
    made.graph.node.extend(nodes)


def _branch(made: ModelProto) -> None:
    inner = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["z"])], "inner", [], [helper.make_empty_tensor_value_info("z")]
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))  # noqa: FBT003 - a value
    made.graph.node.append(helper.make_node("If", ["yes"], ["q"], "if", then_branch=inner, else_branch=inner))


UNUSUAL: dict[str, Callable[[ModelProto], object]] = {
    "not sorted": _swap,
    "a nested graph": _branch,
    "a value defined twice": lambda made: made.graph.node[2].output.__setitem__(0, "a"),
    "an input computed again": lambda made: made.graph.node[1].output.__setitem__(0, "x"),
    "a constant and an initializer of one name": lambda made: made.graph.node[0].output.__setitem__(0, "w"),
    "two nodes of one name": lambda made: setattr(made.graph.node[1], "name", "n0"),
    "two initializers of one name": lambda made: setattr(made.graph.initializer[1], "name", "w"),
    "two inputs of one name": lambda made: made.graph.input.append(made.graph.input[0]),
    "reads what nothing computes": lambda made: made.graph.node[1].input.__setitem__(0, "nowhere"),
    "an output that nothing computes": lambda made: setattr(made.graph.output[0], "name", "nowhere"),
    "no outputs": lambda made: made.graph.ClearField("output"),
    "no nodes": lambda made: made.graph.ClearField("node"),
    "no opset": lambda made: made.ClearField("opset_import"),
    "an opset that does not exist": lambda made: setattr(made.opset_import[0], "version", 0),
    "data that do not fill the dimensions": lambda made: made.graph.initializer[0].dims.append(2),
    "data of a constant that do not": lambda made: made.graph.node[0].attribute[0].t.dims.append(2),
    "a segment": lambda made: setattr(made.graph.initializer[0].segment, "begin", 1),
    "a type that ONNX does not have": lambda made: setattr(made.graph.input[0].type.tensor_type, "elem_type", 99),
    "a reference to an attribute of a function": lambda made: setattr(
        made.graph.node[0].attribute[0], "ref_attr_name", "v"
    ),
    "an attribute with two values": lambda made: setattr(made.graph.node[0].attribute[0], "i", 1),
    "a constant with an operand": lambda made: made.graph.node[0].input.append("x"),
    "an operand too many": lambda made: made.graph.node[1].input.append("x"),
    "an operand left out": lambda made: made.graph.node[1].input.__setitem__(0, ""),
    "a sparse initializer": lambda made: made.graph.sparse_initializer.add(),
    "a function": lambda made: made.functions.add(name="f", domain="d"),
    "graphs for training": lambda made: made.training_info.add(),
}


@pytest.mark.parametrize("change", UNUSUAL)
def test_whatever_is_unusual_is_left_to_the_passes(change: str) -> None:
    made = model()
    UNUSUAL[change](made)
    assert ordinary(made) is None


def test_a_name_that_is_no_text_is_left_to_the_passes() -> None:
    for old in (b"\x01a", b"\x02n1", b"\x01w", b"\x01x", b"\x03Mul"):
        data = model().SerializeToString()
        assert old in data
        made = ModelProto.FromString(data.replace(old, old[:-1] + b"\xff"))
        assert ordinary(made) is None, old


def test_a_tensor_in_another_file_is_told() -> None:
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    found = ordinary(made)
    assert found is not None
    assert [each.data_location for each in found.stored].count(TensorProto.EXTERNAL) == 1
