"""Expected outputs of a micro-model: ONNX Runtime's, checked against the reference evaluator's."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import onnx

from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.probe.generated.disputes import reference_is_mistaken
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGREE_RTOL, _AGREE_ATOL = 1e-3, 1e-4
_AGREE_HALF = 10.0


class Verdict(Enum):
    """How an expectation was computed, or why there is none."""

    AGREED = "ONNX Runtime and the reference agree"
    RUNTIME = "ONNX Runtime alone"
    REFERENCE = "the reference alone"
    DISAGREED = "ONNX Runtime and the reference disagree"
    NOT_COMPUTED = "neither computes it"
    NOT_FINITE = "an output has no finite value"
    OTHER_SHAPE = "an output does not have the shape that inference declares"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The outputs of a model.

    Attributes:
        verdict: How they were computed.
        outputs: Output name -> array, in the graph's order; empty if there is no reliable result.
    """

    verdict: Verdict
    outputs: dict[str, np.ndarray] = field(default_factory=dict)


def expect(op: str, model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Expectation:
    """Compute a model's outputs.

    Args:
        op: The op type under test.
        model: The model, checked.
        feeds: Its inputs.
    """
    runtime = _by_runtime(model, feeds)
    mistaken = reference_is_mistaken(op, model)
    reference = None if mistaken else _by_reference(model, feeds)
    found = reference if runtime is None else runtime
    if found is None:
        return Expectation(verdict=Verdict.NOT_COMPUTED)
    if not _as_declared(model, found):
        return Expectation(verdict=Verdict.OTHER_SHAPE)
    if not all(_has_finite(each) for each in found.values()):
        return Expectation(verdict=Verdict.NOT_FINITE)
    if runtime is None or reference is None:
        return Expectation(verdict=Verdict.REFERENCE if runtime is None else Verdict.RUNTIME, outputs=found)
    if not all(agree(runtime[name], reference[name]) for name in runtime):
        return Expectation(verdict=Verdict.DISAGREED)
    return Expectation(verdict=Verdict.AGREED, outputs=runtime)


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two results are equal up to rounding; integers and booleans exactly.

    The reference computes some int32 outputs as int64.
    """
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    factor = _AGREE_HALF if one.dtype == np.float16 else 1.0
    finite = np.abs(one[np.isfinite(one)].astype(np.float64))
    atol = _AGREE_ATOL * factor * max(1e-3, float(finite.max()) if finite.size else 0.0)
    with np.errstate(all="ignore"):
        return bool(np.allclose(one, other, rtol=_AGREE_RTOL * factor, atol=atol, equal_nan=True))


def _by_runtime(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    found = OnnxRuntimeRunner(model).run([feeds])
    return None if isinstance(found, Failure) else found[0]


def _by_reference(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    from onnx.reference import ReferenceEvaluator

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = ReferenceEvaluator(model).run(None, dict(feeds))
        except Exception:  # noqa: BLE001 - an evaluator of numpy functions raises whatever they raise
            return None
    arrays = [np.asarray(each) for each in found]
    if any(each.dtype.kind not in "biuf" for each in arrays):
        return None
    return dict(zip((each.name for each in model.graph.output), arrays, strict=True))


def _has_finite(values: np.ndarray) -> bool:
    return values.size > 0 and (values.dtype.kind != "f" or bool(np.isfinite(values).any()))


def _as_declared(model: onnx.ModelProto, found: Mapping[str, np.ndarray]) -> bool:
    return all(_fits(each.type.tensor_type, found[each.name]) for each in model.graph.output)


def _fits(declared: onnx.TypeProto.Tensor, values: np.ndarray) -> bool:
    if declared.elem_type and onnx.helper.tensor_dtype_to_np_dtype(declared.elem_type) != values.dtype:
        return False
    if not declared.HasField("shape"):
        return True
    dims = declared.shape.dim
    return len(dims) == values.ndim and all(
        not dim.HasField("dim_value") or dim.dim_value == size for dim, size in zip(dims, values.shape, strict=True)
    )
