"""Operators that ONNX does not have: their twins equal ONNX Runtime's own kernels, in types and shapes as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation import evaluated
from foreign_models import ML, Configuration, expected, twin
from foreign_ops import DRAWS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measure_foreign import judge
from onnx import ModelProto, TensorProto, helper
from rewriting import TARGET

from mnncompat.errors import RunnerError
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.contrib_op_types import RIGHT_BY_NAME, TAKEN_OVER, TYPED_OPS
from mnncompat.inference.foreign_op_shapes import SHAPE_FUNCTIONS
from mnncompat.inference.negative_sizes import GUARD
from mnncompat.rewrites.contrib.contrib_op_to_onnx import EMITTERS, ML_EMITTERS

MANY = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.mark.parametrize("op", sorted(DRAWS))
@MANY
@given(seed=st.integers(0, 10**6))
def test_twin_equals_the_kernel(op: str, seed: int) -> None:
    """Six of the configurations; `measure_foreign.py` compares as many as wanted, and under MNN."""
    judge(DRAWS[op], seed, None)


def test_a_range_without_a_step_counts_by_one() -> None:
    inputs: dict[str, np.ndarray | None] = {"start": np.asarray(-3, np.int64), "limit": np.asarray(4, np.int64)}
    found = Configuration("Range", inputs, outputs=(TensorProto.INT64,), constants=("limit",))
    right = expected(found)
    (values,) = evaluated(twin(found, right), [found.feeds()])
    assert np.array_equal(values["out0"], np.arange(-3, 4))
    assert np.array_equal(values["out0"], right[0])


def test_every_twin_is_drawn_and_typed() -> None:
    twins = {*EMITTERS, *ML_EMITTERS}
    typed = TYPED_OPS | {op for _, op in SHAPE_FUNCTIONS if op != GUARD}
    assert {*twins, *TAKEN_OVER, *RIGHT_BY_NAME} == typed
    assert twins >= {*DRAWS} - {*TAKEN_OVER}


def test_a_wrong_shape_that_the_exporter_states_is_corrected() -> None:
    """skl2onnx states one column, whatever the number of targets is."""
    found = DRAWS["TreeEnsembleRegressor"](np.random.default_rng(3))
    right = expected(found)
    model = found.model()
    columns = right[0].shape[1] + 1
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out0", TensorProto.FLOAT, [None, columns]))
    fixed = fix_model(from_proto(model), target=TARGET)
    assert not fixed.rolled_back, fixed.rolled_back
    (dim,) = fixed.model.proto.graph.output[0].type.tensor_type.shape.dim[1:]
    assert dim.dim_value == columns - 1


def test_labels_that_are_strings_are_told() -> None:
    """No size of the input would help, and the message does not ask for one."""
    found = DRAWS["LinearClassifier"](np.random.default_rng(0))
    labels = [f"label {each}" for each in found.attributes.pop("classlabels_ints")]
    found.attributes["classlabels_strings"] = labels
    model = replace(found, outputs=(TensorProto.STRING, TensorProto.FLOAT), dynamic={("x", 0): "N"}).model()
    with pytest.raises(RunnerError, match="output 'out0' holds strings") as caught:
        fix_model(from_proto(_between(model)), target=TARGET)
    assert "labels as numbers" in str(caught.value.hint)


def _between(model: ModelProto) -> ModelProto:
    """The model with a Scaler in front, which is rewritten."""
    node = model.graph.node[0]
    scaled = helper.make_node("Scaler", ["x"], ["scaled"], domain=ML, offset=[0.0], scale=[2.0])
    node.input[0] = "scaled"
    model.graph.node.insert(0, scaled)
    return model
