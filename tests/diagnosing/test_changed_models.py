"""The file of a changed model is looked into: the node that was changed is named, wherever the file shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import array, model_of
from onnx import helper, numpy_helper
from test_diagnose import OPTIONS, names

from mnncompat import mnn
from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.lanes import Lanes
from mnncompat.graph.model_file import from_proto
from mnncompat.mnn import Converted, ConvertOptions, Limits
from mnncompat.results.diagnosis import Diagnosis

Change = Callable[[onnx.ModelProto], None]
Diagnosed = Callable[[onnx.ModelProto, Change], Diagnosis]


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with Lanes(side_by_side=False) as started:
        yield started


@pytest.fixture
def diagnosed(tmp_path: Path, lanes: Lanes) -> Diagnosed:
    """What is found in the file of a model that was changed."""

    def found(model: onnx.ModelProto, change: Change) -> Diagnosis:
        changed, source, file = onnx.ModelProto(), tmp_path / "changed.onnx", tmp_path / "changed.mnn"
        changed.CopyFrom(model)
        change(changed)
        onnx.save(changed, source)
        made = mnn.convert(source, file, options=ConvertOptions(), limits=Limits(), performer=lanes.perform)
        assert isinstance(made, Converted)
        return diagnose(from_proto(model), file, OPTIONS, lanes=lanes)

    return found


def set_constant(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    (tensor,) = [each for each in model.graph.initializer if each.name == name]
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))


def shares() -> onnx.ModelProto:
    """Shares of 256 classes, written without Softmax; of one column of weights MNN shows the Exp only."""
    nodes = [
        helper.make_node("Tanh", ["x"], ["t"], name="bends"),
        helper.make_node("MatMul", ["t", "w"], ["product"], name="scores"),
        helper.make_node("ReduceMax", ["product"], ["most"], name="most", axes=[1]),
        helper.make_node("Sub", ["product", "most"], ["less"], name="less"),
        helper.make_node("Exp", ["less"], ["powers"], name="powers"),
        helper.make_node("ReduceSum", ["powers", "axis"], ["total"], name="total", keepdims=1),
        helper.make_node("Div", ["powers", "total"], ["y"], name="shares"),
    ]
    weights = {"w": 2 * array(8, 256), "axis": np.array([1])}
    return model_of(nodes, {"x": [1, 8]}, {"y": [1, 256]}, weights)


def test_a_single_wrong_row_of_many_is_no_outlier(diagnosed: Diagnosed) -> None:
    def with_another_column(weight: np.ndarray) -> np.ndarray:
        changed = weight.copy()
        changed[:, 77] *= np.float32(1.01)
        return changed

    found = diagnosed(shares(), lambda model: set_constant(model, "w", with_another_column))
    assert "scores" in names(found)
    assert "bends" not in [node.node for each in found.culprits for node in each.nodes]


def sized() -> onnx.ModelProto:
    """A shape that is computed, with which a Reshape and an Expand are done."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="act"),
        helper.make_node("Shape", ["r"], ["sizes"], name="sizes"),
        helper.make_node("Slice", ["sizes", "start", "end"], ["batch"], name="cut"),
        helper.make_node("Concat", ["batch", "rest"], ["target"], name="joined", axis=0),
        helper.make_node("Reshape", ["r", "target"], ["flat"], name="reshaped"),
        helper.make_node("MatMul", ["flat", "w"], ["y"], name="last"),
    ]
    weights = {"start": np.array([0]), "end": np.array([1]), "rest": np.array([3 * 5 * 6]), "w": array(90, 4)}
    return model_of(nodes, {"x": ["batch", 3, 5, 6]}, {"y": ["batch", 4]}, weights)


def test_the_node_that_computes_another_size_is_named_where_a_reader_of_it_fails(diagnosed: Diagnosed) -> None:
    def shifted(model: onnx.ModelProto) -> None:
        set_constant(model, "start", lambda each: each + 1)
        set_constant(model, "end", lambda each: each + 1)

    found = diagnosed(sized(), shifted)
    assert found.failure is not None
    assert "cut" in names(found)
    assert "the first that does not fit" in found.culprits[0].shown_by[0]


def test_the_node_that_joins_sizes_in_another_order_is_named(diagnosed: Diagnosed) -> None:
    def swapped(model: onnx.ModelProto) -> None:
        (node,) = [each for each in model.graph.node if each.name == "joined"]
        node.input[0], node.input[1] = node.input[1], node.input[0]

    found = diagnosed(sized(), swapped)
    assert found.failure is not None
    assert "joined" in names(found)


def test_a_node_whose_result_the_converter_stored_is_named_with_its_reader(diagnosed: Diagnosed) -> None:
    """The weights of the first layer are joined of two halves, which the converter does beforehand."""
    nodes = [
        helper.make_node("Concat", ["upper", "lower"], ["w"], name="joins", axis=0),
        helper.make_node("MatMul", ["x", "w"], ["m"], name="reads"),
        helper.make_node("Tanh", ["m"], ["t"], name="bends"),
        helper.make_node("MatMul", ["t", "other"], ["y"], name="last"),
    ]
    weights = {"upper": array(4, 6), "lower": array(4, 6), "other": array(6, 5)}
    model = model_of(nodes, {"x": [2, 8]}, {"y": [2, 5]}, weights)

    def swapped(changed: onnx.ModelProto) -> None:
        changed.graph.node[0].input[:] = ["lower", "upper"]

    found = diagnosed(model, swapped)
    assert {"joins", "reads"} <= set(names(found))
    assert "last" not in names(found)
    assert "results of 1 node are constants in the file" in found.culprits[0].shown_by[-1]


@pytest.mark.parametrize(
    ("options", "told"), [(ConvertOptions(weight_bits=4), "in 4 bits"), (ConvertOptions(fp16=True), "as float16")]
)
def test_weights_that_the_file_holds_rounded_are_what_it_is(
    options: ConvertOptions, told: str, tmp_path: Path, lanes: Lanes
) -> None:
    source, file, model = tmp_path / "model.onnx", tmp_path / "model.mnn", shares()
    onnx.save(model, source)
    made = mnn.convert(source, file, options=options, limits=Limits(), performer=lanes.perform)
    assert isinstance(made, Converted)
    (culprit, *_) = diagnose(from_proto(model), file, OPTIONS, lanes=lanes).culprits
    assert "scores" in [each.node for each in culprit.nodes]
    assert f"the file holds its weights {told}" in culprit.shown_by
    assert [(each.what, each.helps) for each in culprit.attempts] == [("weights that are not rounded", True)]
