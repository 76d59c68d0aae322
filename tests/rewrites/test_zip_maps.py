"""A classifier as scikit-learn's exporter writes it by default: its list of maps becomes the tensor of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from mnncompat import check, convert, fix

if TYPE_CHECKING:
    from pathlib import Path


def classifier() -> onnx.ModelProto:
    """Scaler, LinearClassifier, Normalizer and ZipMap."""
    ml = "ai.onnx.ml"
    nodes = [
        helper.make_node("Scaler", ["x"], ["scaled"], domain=ml, offset=[0.5, -0.25], scale=[2.0, 0.5]),
        helper.make_node(
            "LinearClassifier",
            ["scaled"],
            ["label", "raw"],
            domain=ml,
            classlabels_ints=[0, 1, 2],
            coefficients=[0.5, -0.25, 1.0, 0.125, -0.5, 0.75],
            intercepts=[0.1, 0.2, -0.3],
            post_transform="LOGISTIC",
        ),
        helper.make_node("Normalizer", ["raw"], ["normal"], domain=ml, norm="L1"),
        helper.make_node("ZipMap", ["normal"], ["scores"], domain=ml, classlabels_int64s=[0, 1, 2]),
    ]
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        helper.make_value_info("scores", maps),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ml, 3)]
    graph = helper.make_graph(nodes, "classifier", inputs, outputs)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_the_map_is_dropped_and_told(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "classifier.onnx")
    told = [each for each in check(tmp_path / "classifier.onnx").diagnostics if each.name == "scores-as-map"]
    assert ["scores" in each.message for each in told] == [True]
    fixed = fix(tmp_path / "classifier.onnx").model.proto
    assert [each.name for each in fixed.graph.output] == ["label", "scores"]
    scores = fixed.graph.output[1].type.tensor_type
    assert (scores.elem_type, scores.shape.dim[1].dim_value) == (TensorProto.FLOAT, 3)
    assert {node.domain for node in fixed.graph.node} == {""}


def test_the_file_is_proven(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "classifier.onnx")
    assert convert(tmp_path / "classifier.onnx", None).verdict == "converted"
