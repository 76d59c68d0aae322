"""Run a simulation on one draw, and find out where half precision is lost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from mnncompat import mnn
from mnncompat.diagnosing.correspondence import constant_values, corresponding
from mnncompat.diagnosing.golden import inferred_for
from mnncompat.diagnosing.half_precision.arithmetic import LARGEST, arithmetics
from mnncompat.diagnosing.half_precision.simulation import Simulating
from mnncompat.diagnosing.whole_model import converted
from mnncompat.files.scratch import ScratchFolder
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity.metrics import compare
from mnncompat.parity.output_scale import coarse_outputs, fitted
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.tolerance import HALF_PRECISION
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.products import Block
    from mnncompat.diagnosing.half_precision.simulation import Measured
    from mnncompat.graph.model_file import Model

ALARM_DB = 40.0
"""Signal-to-noise ratio of an output below which an alarm is raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the simulation says of a value.

    Attributes:
        largest: Its largest element, as ONNX defines it.
        snr_db: Signal-to-noise ratio; infinite where nothing is off.
        lost: Whether it holds infinities or NaN with half precision alone.
    """

    largest: float
    snr_db: float
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the simulation of one draw says.

    Attributes:
        draw: Its name.
        outputs: Output -> what it is predicted to be.
        values: Value inside the model -> the same, in the order in which they are computed.
        blocks: Convolution, by its result -> how Winograd cuts it.
        inputs: Input -> its largest element.
    """

    draw: str
    outputs: Mapping[str, Loss]
    values: Mapping[str, Loss]
    blocks: Mapping[str, Block]
    inputs: Mapping[str, float]

    @property
    def worst_db(self) -> float:
        """The lowest ratio of an output; minus infinity if one is lost."""
        return min((-math.inf if each.lost else each.snr_db for each in self.outputs.values()), default=math.inf)


class Predictor:
    """Predicts what half precision does to one model.

    The installed MNN converts the model, so that is known which values the file holds: what is inside a fused op is not
    rounded. Where the converter fails, all values are taken for stored.

    Args:
        model: The model.
        limits: What the converter may use.
    """

    def __init__(self, model: Model, *, limits: Limits | None = None) -> None:
        self._model = model
        model.load_weights()
        self._view = view_model(model).main
        self._constants = constant_values(self._view)
        self._stored = self._read_stored(limits or Limits())

    def predict(self, draw: str, feeds: Mapping[str, np.ndarray]) -> Prediction | Failure:
        """Simulate one draw.

        Args:
            draw: Its name.
            feeds: Input name -> array.

        Returns:
            What half precision does, or why ONNX Runtime cannot tell.
        """
        proto = ModelProto()
        proto.CopyFrom(self._model.proto)
        known = inferred_for(self._model.skeleton, feeds)
        for name, array in feeds.items():
            known[name] = _declared(name, array)
        making = Simulating(self._view, proto, known, self._stored, self._constants, arithmetics())
        simulation = making.build()
        ran = OnnxRunner(simulation.model).run([feeds])
        if isinstance(ran, Failure):
            return ran
        found = ran[0]
        coarse = coarse_outputs(self._model.skeleton, list(simulation.low))
        outputs = {
            name: _of_output(found[name], found[low], is_coarse=name in coarse) for name, low in simulation.low.items()
        }
        values = {name: _of_value(measured, found) for name, measured in simulation.measured.items()}
        blocks = {
            node.output[0]: block
            for node in self._view.nodes
            if node.op_type == "Conv" and (block := making.products.block(node)) is not None
        }
        inputs = {name: float(np.abs(array).max(initial=0)) for name, array in feeds.items() if array.dtype.kind == "f"}
        return Prediction(draw=draw, outputs=outputs, values=values, blocks=blocks, inputs=inputs)

    def _read_stored(self, limits: Limits) -> frozenset[str] | None:
        from mnncompat.mnn.request import perform

        with ScratchFolder() as folder:
            made = converted(self._model, ConvertOptions(), folder=folder, limits=limits, performer=perform)
            if isinstance(made, Failure):
                return None
            return frozenset(corresponding(mnn.read_graph(made), self._view, ()).numbers)


def _of_output(expected: np.ndarray, low: np.ndarray, *, is_coarse: bool) -> Loss:
    tolerance = fitted(HALF_PRECISION, [expected], is_coarse=is_coarse)
    found = compare(expected, low, tolerance)
    is_float = expected.dtype.kind == "f"
    lost = is_float and any(word in problem for problem in found.problems for word in ("NaN", "Inf"))
    snr = found.snr_db if is_float and found.discriminative else math.inf
    unequal = not is_float and bool(found.problems)
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0)) if is_float else 0.0
    return Loss(
        largest=largest,
        snr_db=0.0 if unequal else math.inf if math.isnan(snr) else snr,
        lost=lost,
    )


def _of_value(measured: Measured, found: Mapping[str, np.ndarray]) -> Loss:
    exact, low = (found[each].astype(np.float64) for each in measured.samples)
    extremes = [float(found[each]) for each in measured.extremes] or [float(exact.min()), float(exact.max())]
    is_finite = np.isfinite(found[measured.total] if measured.total else low).all()
    right, wrong = np.clip(exact, -LARGEST, LARGEST), np.clip(low, -LARGEST, LARGEST)
    error, signal = float(np.square(right - wrong).sum()), float(np.square(right).sum())
    return Loss(
        largest=max(-extremes[0], extremes[1]),
        snr_db=math.inf if error == 0 else -math.inf if signal == 0 else 10 * math.log10(signal / error),
        lost=bool(np.isfinite(extremes).all() and not is_finite),
    )


def _declared(name: str, array: np.ndarray) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
