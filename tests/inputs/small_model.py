"""Small models, each of which says one thing about its inputs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper, parser

Sizes = Mapping[str, int]
Bounds = tuple[str, float, float]
"""Kind, least and largest value."""


class Small(NamedTuple):
    """A model in ONNX's text form.

    Attributes:
        text: The graph, from its inputs on.
        weights: Initializers that are drawn, by name: their shapes.
        inputs: What is to be found out about the inputs.
        holds: What the sizes of the dynamic dimensions have to fulfil.
        opset: Of ONNX.
    """

    text: str
    weights: Mapping[str, tuple[int, ...]] = {}
    inputs: Mapping[str, Bounds] = {}
    holds: Callable[[Sizes], bool] = lambda _: True
    opset: int = 17

    def model(self) -> onnx.ModelProto:
        """The model."""
        found: onnx.ModelProto = parser.parse_model(
            f'<ir_version: 9, opset_import: ["" : {self.opset}]>\ng {self.text}'
        )
        for name, shape in self.weights.items():
            random = np.random.default_rng(zlib.crc32(name.encode()))
            weight = 0.5 * random.standard_normal(shape).astype(np.float32)
            found.graph.initializer.append(numpy_helper.from_array(weight, name))
        return found
