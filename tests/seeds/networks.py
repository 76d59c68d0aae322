"""Small networks in the forms that people export: dynamic sizes, ids, masks, caches, states, pixels, probabilities."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import onnx
import torch
from networks_language import LANGUAGE
from networks_signal import SIGNALS
from networks_vision import VISION
from torch import Tensor, nn

OPSET = 17
Axes = dict[str, dict[int, str]]


class Network(NamedTuple):
    """One network.

    Attributes:
        build: Makes the module, after a fixed seed.
        inputs: By name, as they are traced with.
        axes: Input or output -> its dynamic axes.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Tensor]]
    axes: Axes


NETWORKS: dict[str, Network] = {name: Network(*parts) for name, parts in {**LANGUAGE, **SIGNALS, **VISION}.items()}
"""All of them by name."""


def export(name: str) -> onnx.ModelProto:
    """The network as an ONNX model."""
    network = NETWORKS[name]
    torch.manual_seed(0)
    module = network.build().eval()
    inputs = network.inputs()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            cast("Any", buffer),
            input_names=list(inputs),
            output_names=_outputs(module, inputs),
            dynamic_axes=network.axes,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.ModelProto.FromString(buffer.getvalue())


def _outputs(module: nn.Module, inputs: dict[str, Tensor]) -> list[str]:
    with torch.no_grad():
        found = module(*inputs.values())
    return [f"y{number}" for number in range(len(found))] if isinstance(found, tuple) else ["y0"]
