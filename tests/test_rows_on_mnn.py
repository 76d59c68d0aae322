"""A sample of the rows, measured on the installed MNN: what the table says comes true.

One micro-model in seven; the probe measures them all.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, parser
from onnx.reference import ReferenceEvaluator

from mnncompat import mnn
from mnncompat.support.releases import installed_version

CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "rules" / "cases.toml").read_text())["case"]
# What reads memory that was never written is right in some runs.
UNSTABLE = ("MNN221", "MNN318", "MNN347")
MEASURABLE = [
    case for case in CASES if case["mnn"] == "3.6.1" and case["feeds"] == "any" and case.get("code") not in UNSTABLE
]
SAMPLE = MEASURABLE[::7]
LIMITS = mnn.Limits(seconds=20)
# float32 rounding over a few dozen terms; every wrong result of the table is off by far more.
RELATIVE, ABSOLUTE = 1e-3, 1e-4


def feeds_of(model: ModelProto) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    stored = {tensor.name for tensor in model.graph.initializer}
    return {value.name: draw(value, rng) for value in model.graph.input if value.name not in stored}


def draw(value: onnx.ValueInfoProto, rng: np.random.Generator) -> np.ndarray:
    tensor = value.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else 2 for dim in tensor.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if tensor.elem_type == TensorProto.BOOL:
        return np.asarray(rng.random(shape) > 0.5)
    if np.issubdtype(dtype, np.integer):
        return np.asarray(rng.integers(0 if np.issubdtype(dtype, np.unsignedinteger) else -5, 6, shape)).astype(dtype)
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def expected_of(model: ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    names = [output.name for output in model.graph.output]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [np.asarray(array) for array in session.run(names, feeds)]
    except Exception:  # noqa: BLE001 - ONNX Runtime has no kernel for it, and has many ways to say so
        return [np.asarray(array) for array in ReferenceEvaluator(model).run(names, feeds)]


def agree(expected: np.ndarray, got: np.ndarray) -> bool:
    if expected.shape != got.shape or (expected.dtype.kind == "f") != (got.dtype.kind == "f"):
        return False
    return np.allclose(
        got.astype(np.float64), expected.astype(np.float64), rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True
    )


def measured(model: ModelProto, folder: Path) -> str:
    """What MNN does: ``ok``, ``wrong``, or the kind of failure."""
    onnx.save(model, folder / "model.onnx")
    converted = mnn.convert(folder / "model.onnx", folder / "out.mnn", options=mnn.ConvertOptions(), limits=LIMITS)
    if isinstance(converted, mnn.Failure):
        return str(converted.kind)
    feeds = feeds_of(model)
    names = [output.name for output in model.graph.output]
    ran = mnn.run(folder / "out.mnn", [feeds], output_names=names, limits=LIMITS)
    if isinstance(ran, mnn.Failure):
        return str(ran.kind)
    right = all(agree(e, ran.outputs[0][name]) for e, name in zip(expected_of(model, feeds), names, strict=True))
    return "ok" if right else "wrong"


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{case.get('code', 'ok')}-{case['name']}")
def test_the_table_comes_true(case: dict[str, Any], tmp_path: Path) -> None:
    if installed_version() != "3.6.1":
        pytest.fail("the sample was measured on MNN 3.6.1: pip install MNN==3.6.1")
    outcome = measured(parser.parse_model(case["model"]), tmp_path)
    if "code" in case:
        assert outcome != "ok"
    else:
        assert outcome == case["measured"] == "ok"


def test_the_comparison_can_fail() -> None:
    values = np.linspace(-3, 3, 16, dtype=np.float32)
    assert agree(values, values * (1 + 1e-5))
    assert not agree(values, values * 1.01)
    assert not agree(values, values + 0.01)
    assert not agree(values, values.reshape(4, 4))
    assert not agree(values, values.astype(np.int32))
    assert not agree(values, np.where(values > 2, np.nan, values))
