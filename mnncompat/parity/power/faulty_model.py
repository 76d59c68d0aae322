"""Runs a model with a fault in one of its operators, or with none."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, helper

from mnncompat.files.scratch import ScratchFolder
from mnncompat.graph.model_file import Model
from mnncompat.graph.validation import all_graphs
from mnncompat.inference.inlined_functions import written_out
from mnncompat.inference.model_view import view_model
from mnncompat.parity.power.operators import operators_with_weights, with_placeholders
from mnncompat.parity.power.planting import HALF, OFF, SWITCH, plant
from mnncompat.parity.power.saturation import Saturating, saturating
from mnncompat.parity.power.shell import shell_of
from mnncompat.parity.runners import OnnxRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.parity.power.operators import Operator


class FaultyModel:
    """A model under ONNX Runtime, with a switch per operator with weights.

    It runs as the reference does, by ONNX's evaluator where ONNX Runtime does not load the model. So with no fault it
    gives the reference's very outputs.
    Close it after use: it keeps large weights in a temporary folder.

    Attributes:
        operators: Those with weights.
        placeholders: Number of those whose weights are one number repeated.
        outputs: Names of the model's outputs.
        saturating: Where outputs are flattened; these values come with the outputs of a run.
        unplanted: The model without functions, switches and large weights.

    Args:
        model: The model; it is not changed.
        folder: Where its external data lie, if it has any.
        noise: Results of random nodes -> outputs of the model that give them out. They are fed, instead of drawn.
        evaluated: Whether ONNX's evaluator computes it, since ONNX Runtime loads the model and fails to run it.
        planted: False for a model without switches.

    Raises:
        OSError: There is no room for the weights.
    """

    def __init__(
        self,
        model: ModelProto,
        *,
        folder: Path | None = None,
        noise: Mapping[str, str] | None = None,
        evaluated: bool = False,
        planted: bool = True,
    ) -> None:
        self._scratch = contextlib.ExitStack()
        self._noise = dict(noise or {})
        self._is_evaluated = evaluated
        try:
            spare = self._scratch.enter_context(ScratchFolder())
            shell, weights = shell_of(model, folder or spare, spare)
            self.unplanted = inlined(shell)
            self.operators: tuple[Operator, ...] = operators_with_weights(self.unplanted) if planted else ()
            self.placeholders = with_placeholders(self.unplanted) if planted else 0
            self.outputs = tuple(value.name for value in self.unplanted.graph.output)
            self.saturating = saturating_outputs(self.unplanted)
            self._runner = OnnxRunner(self._planted(), folder=weights)
        except BaseException:
            self._scratch.close()
            raise

    def _planted(self) -> ModelProto:
        planted = ModelProto()
        planted.CopyFrom(self.unplanted)
        for value, element in {each.value: each.element for each in self.saturating.values()}.items():
            if value not in self.outputs:
                planted.graph.output.append(helper.make_tensor_value_info(value, element, None))
        plant(planted, self.operators)
        _feed_noise(planted.graph, self._noise)
        return planted

    def run(
        self, arrays: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], wrong: int = OFF, *, half: int = 0
    ) -> dict[str, np.ndarray] | Failure:
        """Run the model.

        Args:
            arrays: The inputs.
            outputs: What the reference computed of them, with the noise that it gave out.
            wrong: Position of the operator that is wrong.
            half: Which half of its elements is: 0 for the one with the first.
        """
        noise = {_fed(name): outputs[name] for name in self._noise.values()}
        switches = {SWITCH: np.asarray(wrong, np.int64), HALF: np.asarray(half, np.int64)}
        feeds = [{**arrays, **noise, **switches}]
        found = (self._runner.evaluate(feeds) if self._is_evaluated else None) or self._runner.run(feeds)
        return found if isinstance(found, Failure) else found[0]

    def close(self) -> None:
        """Free the memory and the folder."""
        self._runner.release()
        self._scratch.close()


def inlined(model: ModelProto) -> ModelProto:
    """The model without local functions.

    Raises:
        ModelError: They cannot be inlined.
    """
    return written_out(model) if model.functions else model


def saturating_outputs(model: ModelProto) -> dict[str, Saturating]:
    """The outputs that a function flattens, and where.

    Args:
        model: Without local functions; its weights need not be loaded.
    """
    main = view_model(Model(proto=model, weights_loaded=False)).main
    found = {value.name: saturating(main, value.name) for value in model.graph.output}
    return {name: each for name, each in found.items() if each is not None}


def _feed_noise(main: GraphProto, noise: Mapping[str, str]) -> None:
    types = {value.name: value.type.tensor_type.elem_type for value in main.output}
    for output in noise.values():
        main.input.append(helper.make_tensor_value_info(_fed(output), types[output], None))
    for graph in all_graphs(main):
        for node in graph.node:
            if node.output and node.output[0] in noise:
                node.CopyFrom(helper.make_node("Identity", [_fed(noise[node.output[0]])], [node.output[0]]))


def _fed(output: str) -> str:
    return f"power/noise/{output}"
