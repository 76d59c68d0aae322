"""How far rounding alone moves the outputs of a model, by Monte Carlo arithmetic.

A draw may fail though MNN is right: ArgMax of a constant image chooses among equal numbers, a stack of instance norms
divides rounding by the square root of epsilon, a rounded activation is rounded up or down. There the result of ONNX
Runtime itself depends on the order of its additions. To distinguish such a draw from an error of the conversion, every
result of the original's arithmetic is perturbed by `NOISE`, and the original is run `RUNS` times more:

    y' = y + NOISE * u * (|y| + mean |y|),    u uniform in -1 .. 1

Operators that only move or compare data are not perturbed: equal inputs stay equal. A draw is inconclusive when the
difference found is at most `FACTOR` times the largest that the noise makes. It then proves nothing, so an output still
fails unless at least half of its draws are proof: they agree, or the noise is small beside the output (`PROOF_DB`).

D. S. Parker, Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic, 1997.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from mnncompat.graph.operator_traits import CONVOLUTIONS, MATRIX_PRODUCTS, RECURRENT, RESIZES, TRANSCENDENTAL
from mnncompat.graph.protos import is_onnx
from mnncompat.inference.shape_inference import infer
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mnncompat.parity.input_plan import NamedFeeds
    from mnncompat.results.parity_report import Comparison

NOISE = 1e-6
"""Eight units in the last place of 1: the possible error of a sum of some hundred terms in float32."""
RUNS = 4
"""How often the original is run with noise."""
FACTOR = 4.0
"""How many times larger than the effect of the noise a difference may be: MNN's convolutions are less exact than one
sum."""
PROOF_DB = 20.0
"""Signal-to-noise ratio from which an inconclusive draw still counts as proof, as for weights in float16."""

_ROUNDED = frozenset(
    (
        *(*CONVOLUTIONS, *MATRIX_PRODUCTS, *RECURRENT, *RESIZES, *TRANSCENDENTAL),
        *("AveragePool", "BatchNormalization", "Div", "Einsum", "GlobalAveragePool", "GlobalLpPool", "GridSample"),
        *("GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization", "LogSoftmax", "LpNormalization"),
        *("LpPool", "MeanVarianceNormalization", "Pow", "RMSNormalization", "ReduceL1", "ReduceL2", "ReduceLogSum"),
        *("ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "RoiAlign", "Softmax"),
    )
)


def inconclusive(
    rounding: Rounding,
    feeds: Sequence[NamedFeeds],
    name: str,
    found: Sequence[tuple[Comparison, np.ndarray, np.ndarray | None]],
) -> tuple[tuple[Comparison, ...], list[str]]:
    """Examine the draws of one output that failed by their values.

    Args:
        rounding: Of the original.
        feeds: All draws.
        name: The output.
        found: For each draw: the comparison, the reference, and the compared output.

    Returns:
        The comparisons, with those that rounding explains marked as inconclusive; and a note about each of these.
    """
    judged: list[Comparison] = []
    notes: list[str] = []
    for feed, (comparison, expected, actual) in zip(feeds, found, strict=True):
        moved = rounding.movement(feed, name, expected) if _may_be_rounding(comparison, expected, actual) else None
        if actual is None or moved is None or not moved.covers(expected, actual):
            judged.append(comparison)
            continue
        judged.append(
            replace(comparison, problems=(), inconclusive=True, discriminative=moved.leaves_a_signal(expected))
        )
        notes.append(
            f"output {name!r}, {comparison.draw}: inconclusive; it is off by {comparison.max_abs:.2g}, and a "
            f"millionth in the arithmetic moves the original by {moved.largest:.2g}"
        )
    proofs = sum(each.passed and each.discriminative for each in judged)
    if 2 * proofs < len(judged):
        return tuple(each for each, _, _ in found), []
    return tuple(judged), notes


def _may_be_rounding(comparison: Comparison, expected: np.ndarray, actual: np.ndarray | None) -> bool:
    """Whether only finite values differ: shape, type, NaN and infinities agree."""
    return not comparison.passed and actual is not None and comparison.compared > 0 and _has_form_of(expected, actual)


def _has_form_of(expected: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have the same shape, and finite numbers in the same positions."""
    return expected.shape == other.shape and np.array_equal(np.isfinite(expected), np.isfinite(other))


class _Movement:
    """How far the noise moves one output."""

    def __init__(self, expected: np.ndarray, others: Sequence[np.ndarray]) -> None:
        differences = [_difference(expected, other) for other in others]
        self.largest = max(float(each.max(initial=0.0)) for each in differences)
        self._energy = max(float(np.sum(np.square(each))) for each in differences)
        self._unequal = max(int(np.count_nonzero(each)) for each in differences)

    def covers(self, expected: np.ndarray, actual: np.ndarray) -> bool:
        """Whether a difference is as small as the effect of the noise allows."""
        difference = _difference(expected, actual)
        if (
            expected.dtype.kind != "f"
        ):  # the distance of two indices has no meaning: the number of different ones counts
            return bool(np.count_nonzero(difference) <= FACTOR * self._unequal)
        return bool(
            difference.max(initial=0.0) <= FACTOR * self.largest
            and np.sum(np.square(difference)) <= FACTOR**2 * self._energy
        )

    def leaves_a_signal(self, expected: np.ndarray) -> bool:
        """Whether the effect of the noise is small beside the output."""
        signal = float(np.sum(np.square(np.where(np.isfinite(expected), expected, 0).astype(np.float64))))
        if expected.dtype.kind != "f" or signal == 0 or self._energy == 0:
            return False
        return 10 * math.log10(signal / self._energy) >= PROOF_DB


def _difference(expected: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Absolute difference in float64, 0 where the numbers are not finite."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(other.astype(np.float64) - expected.astype(np.float64))
    return np.where(np.isfinite(expected), difference, 0.0)


class Rounding:
    """How far rounding moves the outputs of a model; computed when first needed.

    Args:
        model: Returns the model, with its weights.
    """

    def __init__(self, model: Callable[[], ModelProto]) -> None:
        self._model = model
        self._outputs: dict[str, list[dict[str, np.ndarray]]] = {}

    def movement(self, feed: NamedFeeds, name: str, expected: np.ndarray) -> _Movement | None:
        """How far the noise moves an output on a draw; None if that is not known."""
        if feed.name not in self._outputs:
            self._outputs[feed.name] = list(self._run(feed))
        others = [each[name] for each in self._outputs[feed.name]]
        if len(others) < RUNS or not all(_has_form_of(expected, each) for each in others):
            return None
        return _Movement(expected, others)

    def _run(self, feed: NamedFeeds) -> Iterator[dict[str, np.ndarray]]:
        for seed in range(RUNS):
            blurred = blur(self._model(), seed)
            outputs = None if blurred is None else OnnxRuntimeRunner(blurred).run([feed.arrays])
            if outputs is None or isinstance(outputs, Failure):
                return
            yield outputs[0]


def blur(model: ModelProto, seed: int) -> ModelProto | None:
    """A copy of a model with noise behind every node of the main graph whose float results are rounded.

    Args:
        model: The model.
        seed: Of the noise.

    Returns:
        The copy; None if no node is perturbed.
    """
    inferred = infer(model)
    values = [] if inferred is None else [*inferred.graph.value_info, *inferred.graph.output]
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    count = 0
    for node in model.graph.node:
        copy = result.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type not in _ROUNDED or not is_onnx(node):
            continue
        for position, name in enumerate(node.output):
            if name and name in floats:
                copy.output[position] = exact = f"{name}/exact"
                result.graph.node.extend(_noise(exact, name, seed * len(model.graph.node) + count))
                count += 1
    if not count:
        return None
    result.graph.initializer.append(numpy_helper.from_array(np.asarray(NOISE, np.float32), "blur/noise"))
    return result


def _noise(exact: str, name: str, seed: int) -> list[NodeProto]:
    parts = {each: f"{name}/blur/{each}" for each in ("drawn", "size", "mean", "scale", "scaled", "step")}
    return [
        helper.make_node("RandomUniformLike", [exact], [parts["drawn"]], low=-1.0, high=1.0, seed=float(seed)),
        helper.make_node("Abs", [exact], [parts["size"]]),
        helper.make_node("ReduceMean", [parts["size"]], [parts["mean"]], keepdims=0),
        helper.make_node("Add", [parts["size"], parts["mean"]], [parts["scale"]]),
        helper.make_node("Mul", [parts["scale"], "blur/noise"], [parts["scaled"]]),
        helper.make_node("Mul", [parts["drawn"], parts["scaled"]], [parts["step"]]),
        helper.make_node("Add", [exact, parts["step"]], [name]),
    ]
