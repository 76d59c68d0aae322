"""A tensor in a field for its type, where MNN does not look, kills MNN: what is cut out of the model has it as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import array, model_of
from onnx import TensorProto, helper
from test_diagnose import OPTIONS, names

from mnncompat.diagnosing.diagnose import diagnose
from mnncompat.diagnosing.repro import read_repro
from mnncompat.graph.model_file import from_proto


def halves() -> TensorProto:
    bits = array(4, 8).astype(np.float16).view(np.uint16)
    return TensorProto(name="w", data_type=TensorProto.FLOAT16, dims=bits.shape, int32_data=bits.reshape(-1).tolist())


def network(*, is_node: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="act"),
        *([helper.make_node("Constant", [], ["w"], name="weights", value=halves())] if is_node else []),
        helper.make_node("Cast", ["w"], ["wide"], name="widened", to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["r", "wide"], ["p"], name="product"),
        helper.make_node("Tanh", ["p"], ["y"], name="bent"),
    ]
    model = model_of(nodes, {"x": [2, 4]}, {"y": [2, 8]}, {})
    if not is_node:
        model.graph.initializer.append(halves())
    return model


@pytest.mark.parametrize(("is_node", "culprit"), [(False, "widened"), (True, "weights")])
def test_the_node_that_has_or_reads_the_tensor_is_named(is_node: bool, culprit: str, tmp_path: Path) -> None:  # noqa: FBT001
    folder = tmp_path / "repro"
    options = OPTIONS if is_node else replace(OPTIONS, repro=folder)
    found = diagnose(from_proto(network(is_node=is_node)), None, options)
    assert names(found) == [culprit]
    (first,) = found.culprits
    assert "fails as well" in first.isolated
    assert [each.code for each in first.findings] == ["MNN021"]
    assert any(each.helps and "dense-storage" in each.what for each in first.attempts)
    if not is_node:
        (tensor,) = read_repro(folder).part.model.graph.initializer
        assert tensor.int32_data
