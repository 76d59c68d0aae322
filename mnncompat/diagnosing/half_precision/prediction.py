"""Run a simulation on one draw, and find out where half precision is lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from mnncompat import mnn
from mnncompat.diagnosing.correspondence import constant_values, corresponding
from mnncompat.diagnosing.golden import inferred_for
from mnncompat.diagnosing.half_precision.arithmetic import arithmetics
from mnncompat.diagnosing.half_precision.branches import has_branches, taken
from mnncompat.diagnosing.half_precision.simulation import Simulating
from mnncompat.diagnosing.half_precision.widths import fed, in_float32
from mnncompat.diagnosing.whole_model import converted
from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.model_file import serialised_bytes
from mnncompat.graph.tensor_values import data_type_of
from mnncompat.inference.model_view import view_model
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.parity.metrics import compare
from mnncompat.parity.output_scale import coarse_outputs, fitted
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.tolerance import HALF_PRECISION
from mnncompat.results.failures import Failure
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.products import Block
    from mnncompat.diagnosing.half_precision.simulation import Measured, Simulation
    from mnncompat.graph.model_file import Model
    from mnncompat.graph.view import GraphView

_MAPPED = 1 << 28
"""Bytes of a model from which on its weights are not read into memory."""
ALARM_DB = 40.0
"""Signal-to-noise ratio of an output below which an alarm is raised."""
FEW, CHANCE_DB = 8, 6.0
"""The error of an output of few elements is one draw of an error that may be twice as large: so much is left for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the simulation says of a value.

    Attributes:
        largest: Its largest element, as ONNX defines it.
        snr_db: Signal-to-noise ratio; infinite where nothing is off.
        lost: Whether it holds infinities or NaN with half precision alone.
        elements: How many it has.
    """

    largest: float
    snr_db: float
    lost: bool
    elements: int

    @property
    def limit_db(self) -> float:
        """The ratio below which an alarm is raised."""
        return ALARM_DB + (CHANCE_DB if self.elements <= FEW else 0.0)

    @property
    def is_bad(self) -> bool:
        """Whether an alarm is raised."""
        return self.lost or self.snr_db < self.limit_db


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the simulation of one draw says.

    Attributes:
        draw: Its name.
        outputs: Output -> what it is predicted to be.
        values: Value inside the model -> the same, in the order in which they are computed.
        blocks: Convolution, by its result -> how Winograd cuts it.
        inputs: Input -> its largest element.
        view: The graph that was simulated: that of the model with the branches taken in the places of their If.
        origins: Node of that graph -> the model's node that it is, or that it was a branch of.
        inside: Node of that graph -> whether it was in a branch.
        exact: Output -> what ONNX Runtime computes.
    """

    draw: str
    outputs: Mapping[str, Loss]
    values: Mapping[str, Loss]
    blocks: Mapping[str, Block]
    inputs: Mapping[str, float]
    view: GraphView
    origins: Sequence[int]
    inside: Sequence[bool]
    exact: Mapping[str, np.ndarray]

    @property
    def worst_db(self) -> float:
        """The lowest ratio of an output; minus infinity if one is lost."""
        return min((-math.inf if each.lost else each.snr_db for each in self.outputs.values()), default=math.inf)


class Predictor:
    """Predicts what half precision does to one model.

    The installed MNN converts the model, so that is known which values the file holds: what is inside a fused op is not
    rounded. Where the converter fails, all values are taken for stored. Of a model with branches those are looked at
    that a draw takes, in the place of their If. Double and half numbers are float32, as MNN has them.

    Args:
        model: The model.
        limits: What the converter may use.
    """

    def __init__(self, model: Model, *, limits: Limits | None = None) -> None:
        model.load_weights()
        self._model = in_float32(model)
        self._is_widened = self._model is not model
        self._limits = limits or Limits()
        self._parts: dict[bytes, _Part] = {}

    def predict(self, draw: str, feeds: Mapping[str, np.ndarray]) -> Prediction | Failure:
        """Simulate one draw.

        Args:
            draw: Its name.
            feeds: Input name -> array.

        Returns:
            What half precision does, or why ONNX Runtime cannot tell.
        """
        feeds = fed(feeds) if self._is_widened else feeds
        part = self._part(feeds)
        built = self._built(part, feeds)
        ran = built.runner.run([feeds])
        if isinstance(ran, Failure):
            return ran
        found, simulation = ran[0], built.simulation
        coarse = coarse_outputs(self._model.skeleton, list(simulation.low))
        outputs = {
            name: _of_output(found[name], found[low], is_coarse=name in coarse) for name, low in simulation.low.items()
        }
        values = {name: _of_value(measured, found) for name, measured in simulation.measured.items()}
        inputs = {name: float(np.abs(array).max(initial=0)) for name, array in feeds.items() if array.dtype.kind == "f"}
        return Prediction(
            draw=draw,
            outputs=outputs,
            values=values,
            blocks=built.blocks,
            inputs=inputs,
            view=part.view,
            origins=part.origins,
            inside=part.inside,
            exact={name: found[name] for name in simulation.low},
        )

    def _built(self, part: _Part, feeds: Mapping[str, np.ndarray]) -> _Built:
        """The simulation for feeds of these sizes, and of these whole numbers, which may say sizes."""
        key = tuple(
            (name, array.shape, b"" if array.dtype.kind == "f" else array.tobytes()) for name, array in feeds.items()
        )
        if part.built is None or part.built.key != key:
            proto = ModelProto()
            is_large = serialised_bytes(part.model.skeleton) > _MAPPED  # its weights stay in their files
            proto.CopyFrom(part.model.skeleton if is_large else part.model.proto)
            known = inferred_for(part.model.skeleton, feeds)
            for name, array in feeds.items():
                known[name] = _declared(name, array)
            making = Simulating(part.view, proto, known, part.stored, part.constants, arithmetics())
            simulation = making.build()
            blocks = {
                node.output[0]: block
                for node in part.view.nodes
                if node.op_type == "Conv" and (block := making.products.block(node)) is not None
            }
            source = simulation.model if is_large else simulation.model.SerializeToString()
            runner = OnnxRunner(source, known=None if is_large else part.model.skeleton, in_order=True)
            part.built = _Built(key=key, simulation=simulation, blocks=blocks, runner=runner)
        return part.built

    def _part(self, feeds: Mapping[str, np.ndarray]) -> _Part:
        """The nodes that run on these feeds."""
        if not has_branches(self._model):
            key, found = b"", None
        else:
            found = taken(self._model, feeds)
            key = found.model.proto.graph.SerializeToString()
        if key not in self._parts:
            model = found.model if found else self._model
            count = len(model.skeleton.graph.node)
            view = view_model(model).main
            self._parts[key] = _Part(
                model=model,
                view=view,
                constants=constant_values(view),
                stored=self._read_stored(model, view),
                origins=found.origins if found else tuple(range(count)),
                inside=found.inside if found else (False,) * count,
            )
        return self._parts[key]

    def _read_stored(self, model: Model, view: GraphView) -> frozenset[str] | None:
        from mnncompat.mnn.request import perform

        with ScratchFolder() as folder:
            made = converted(model, ConvertOptions(), folder=folder, limits=self._limits, performer=perform)
            if isinstance(made, Failure):
                return None
            return frozenset(corresponding(mnn.read_graph(made), view, ()).numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """The simulation of a part for inputs of some sizes."""

    key: object
    simulation: Simulation
    blocks: Mapping[str, Block]
    runner: OnnxRunner


@dataclass(slots=True, kw_only=True)
class _Part:
    """What is looked at of a model: the nodes that run."""

    model: Model
    view: GraphView
    constants: frozenset[str]
    stored: frozenset[str] | None
    origins: tuple[int, ...]
    inside: tuple[bool, ...]
    built: _Built | None = None


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
        elements=expected.size,
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
        elements=exact.size,
    )


def _declared(name: str, array: np.ndarray) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, data_type_of(array.dtype), array.shape)
