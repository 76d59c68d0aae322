"""Evaluate heads under ONNX Runtime and MNN, and compare the outputs within the bounds of rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from bounds import bounds
from onnx import helper, numpy_helper
from rewriting import rewritten

from mnncompat import mnn
from mnncompat.parity import DRAWS
from mnncompat.parity.input_plan import InputPlan
from mnncompat.parity.input_planner import InputPlanner
from mnncompat.parity.mnn_runner import MnnRunner
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.rewrites.index import requested_rewrite

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Values = dict[str, NDArray[Any]]

BATCHES = (1, 2, 5)
MEMORY = 1 << 30
LIMITS = mnn.Limits(seconds=60.0)


def feeds_of(model: ModelProto, seed: int = 0) -> list[Values]:
    """Every draw (float16: without the large one, which overflows) for every batch size if the batch is dynamic."""
    signature = input_signature(model)
    dynamic = any(not isinstance(dim, int) for spec in signature for dim in spec.shape or ())
    draws = [name for name in DRAWS if name != "large" or signature[0].dtype != np.float16]
    result: list[Values] = []
    for batch in BATCHES if dynamic else (1,):
        shapes = {s.name: tuple(dim if isinstance(dim, int) else batch for dim in s.shape or ()) for s in signature}
        plan = next(InputPlanner(model, signature, shapes, {}, seed=seed, memory=MEMORY).plans())
        result += [_finite_feed(model, plan, draw) for draw in draws]
    return result


def _finite_feed(model: ModelProto, plan: InputPlan, draw: str) -> Values:
    """A draw, made milder as `verify` does while that makes the outputs finite; as it is if nothing does."""
    (first,) = (feed,) = plan.feeds([draw])
    while not _is_finite(model, feed.arrays):
        if not plan.milder(draw):
            return first.arrays
        (feed,) = plan.feeds([draw])
    return feed.arrays


def _is_finite(model: ModelProto, arrays: Values) -> bool:
    (outputs,) = evaluated(model, [arrays])
    return all(np.isfinite(each).all() for each in outputs.values() if each.dtype.kind == "f")


def evaluated(model: ModelProto, feeds: list[Values]) -> list[Values]:
    """The outputs under ONNX Runtime, or under ONNX's reference evaluator where that does not load the model."""
    result = OnnxRunner(model).run(feeds)
    assert isinstance(result, list), result
    return result


def measured(model: ModelProto, feeds: list[Values], folder: Path) -> list[Values]:
    """The outputs under MNN, converted with exact Gelu, which it has no operator for: that one is an approximation."""
    onnx.save(rewritten(requested_rewrite("exact-gelu"), model), folder / "model.onnx")
    options = mnn.ConvertOptions(gelu_approximation=False)
    converted = mnn.convert(folder / "model.onnx", folder / "model.mnn", options=options, limits=LIMITS)
    assert isinstance(converted, mnn.Converted), converted
    result = MnnRunner(folder / "model.mnn", outputs=output_names(model), limits=LIMITS).run(feeds)
    assert isinstance(result, list), result
    return result


def reference(model: ModelProto, feeds: list[Values]) -> list[Values]:
    """Every value of every run under ONNX Runtime: inputs, initializers, and all that is computed."""
    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    del complete.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    complete.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return [stored | feed | values for feed, values in zip(feeds, evaluated(complete, feeds), strict=True)]


def allowance(model: ModelProto, values: Values) -> dict[str, float]:
    """How far each value of a head may be from another correct evaluation, given one of its runs."""
    eps = float(np.finfo(helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)).eps) / 2
    return bounds(model, values, eps)


def assert_equal(model: ModelProto, expected: Values, actual: Values, *, relative: float = 0.0) -> float:
    """Compare the outputs of one run with its reference values.

    Args:
        model: The head.
        expected: All values of the reference run.
        actual: The outputs to be judged.
        relative: Allowed beyond rounding, as a share of the largest element.

    Returns:
        The largest difference, as a share of the largest element.
    """
    worst = 0.0
    allowed = allowance(model, expected)
    producers = {name: node for node in model.graph.node for name in node.output}
    for name in output_names(model):
        value, other = expected[name].astype(np.float64), actual[name].astype(np.float64)
        assert other.shape == value.shape, name
        if producers[name].op_type in ("ArgMax", "ArgMin"):
            _assert_same_classes(producers[name], expected, actual[name], allowed)
            continue
        difference, largest = float(np.abs(other - value).max()), float(np.abs(value).max())
        limit = allowed[name] + relative * largest
        assert difference <= limit, f"{name}: {difference} apart, {limit} allowed"
        worst = max(worst, difference / max(largest, 1e-3))
    return worst


def _assert_same_classes(node: NodeProto, expected: Values, actual: NDArray[Any], allowed: dict[str, float]) -> None:
    """The class is the best one, or one whose score differs from it by no more than rounding."""
    scores = expected[node.input[0]].astype(np.float64) * (1 if node.op_type == "ArgMax" else -1)
    chosen = scores[np.arange(len(scores)), actual.reshape(-1)]
    assert np.all(chosen >= scores.max(axis=1) - 2 * allowed[node.input[0]]), node.output[0]


def assert_agrees(model: ModelProto, result: ModelProto) -> None:
    """Compare a head with its rewritten form, under ONNX Runtime, in every sample."""
    feeds = feeds_of(model)
    for expected, actual in zip(reference(model, feeds), evaluated(result, feeds), strict=True):
        assert_equal(model, expected, actual)
