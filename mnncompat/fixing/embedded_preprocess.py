"""Put the numbers of preprocessing into a model: it then takes the bytes of an image, channels last.

What stays outside is what depends on the image: decoding, turning, resizing and cropping.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from mnncompat.errors import ModelError, RunnerError, UsageError
from mnncompat.graph.protos import dims_of
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import all_graphs
from mnncompat.parity.gray_levels import GRAY_HALF, GRAY_WEIGHTS, GRAY_WHOLE, gray
from mnncompat.parity.images import Preprocess, parse_preprocess
from mnncompat.parity.metrics import compare
from mnncompat.parity.runners import OnnxRunner
from mnncompat.parity.signature import input_signature, output_names
from mnncompat.parity.tolerance import FLOAT32
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_RANK = 4
_USUAL = 64
_DRAWS = 4


class Embedded(NamedTuple):
    """A model that takes bytes.

    Attributes:
        model: The model.
        words: What was proven, for people.
    """

    model: Model
    words: str


def embedded(model: Model, declared: Mapping[str, str], *, seed: int) -> Embedded:
    """Let inputs take images as uint8, (batch, height, width, 3), red first.

    Args:
        model: The model; it is not changed.
        declared: Input name -> how an image becomes it, as `--preprocess` takes it.
        seed: Of the images that the result is compared on.

    Raises:
        UsageError: An input does not exist or is no image, or the steps are malformed.
        ModelError: The result is not equal.
        RunnerError: ONNX Runtime is not installed, or does not run the model.
    """
    steps = {name: parse_preprocess(f"--embed-preprocess {name}", text) for name, text in declared.items()}
    result = copy.copy(model)
    result.skeleton = ModelProto()
    result.skeleton.CopyFrom(model.skeleton)
    for name, each in steps.items():
        _embed(result.skeleton, name, each)
    return Embedded(result, _proven(model, result, steps, seed))


def _embed(proto: ModelProto, name: str, preprocess: Preprocess) -> None:
    value = next((each for each in proto.graph.input if each.name == name), None)
    if value is None:
        listed = ", ".join(repr(each.name) for each in proto.graph.input)
        raise UsageError(f"--embed-preprocess {name}: there is no such input", hint=f"there are: {listed}")
    shape, element = dims_of(value), value.type.tensor_type.elem_type
    first = _channels_first(name, shape, element, preprocess)
    if any(each.name == name for each in proto.graph.output):
        raise UsageError(f"--embed-preprocess {name}: the input is an output too", hint="copy it in the model first")
    inside = _free(proto, f"{name}_prepared")
    for graph in all_graphs(proto.graph):
        for node in graph.node:
            for at, given in enumerate(node.input):
                if given == name:
                    node.input[at] = inside
    nodes, constants = _nodes(name, inside, preprocess, element, first=first)
    kept = [*nodes, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(kept)
    proto.graph.initializer.extend(constants)
    _retype(value, shape, first=first)


def _channels_first(name: str, shape: Sequence[Any] | None, element: int, preprocess: Preprocess) -> bool:
    """Whether channels come first.

    Raises:
        UsageError: The input is no image of floats.
    """
    channels = preprocess.channels
    if shape is None or len(shape) != _RANK or element not in _FLOATS:
        raise UsageError(
            f"--embed-preprocess {name}: the input is no batch of images of floats",
            hint="it has to be declared with 4 axes",
        )
    if preprocess.layout:
        return preprocess.layout == "nchw"
    if channels not in (shape[1], shape[3]) and (isinstance(shape[1], int) or isinstance(shape[3], int)):
        raise UsageError(
            f"--embed-preprocess {name}: no axis of {list(shape)} has {channels} channels",
            hint="color:gray makes one channel; layout:nchw or layout:nhwc says where they are",
        )
    return bool(shape[1] == channels or shape[3] != channels)


def _nodes(
    name: str, inside: str, preprocess: Preprocess, element: int, *, first: bool
) -> tuple[list[NodeProto], list[TensorProto]]:
    """From bytes to the value that the model reads."""
    nodes: list[NodeProto] = []
    constants: list[TensorProto] = []

    def stored(array: np.ndarray) -> str:
        constants.append(array_tensor(array, f"{inside}_constant_{len(constants)}"))
        return constants[-1].name

    def emit(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(
            helper.make_node(op, inputs, [f"{inside}_{len(nodes)}"], f"{inside}_{op}_{len(nodes)}", **attributes)
        )
        return nodes[-1].output[0]

    found = emit("Cast", name, to=TensorProto.FLOAT)
    if preprocess.color == "bgr":
        found = emit("Gather", found, stored(np.asarray([2, 1, 0], np.int64)), axis=3)
    if preprocess.color == "gray":
        found = emit("MatMul", found, stored(np.asarray(GRAY_WEIGHTS, np.float32).reshape(3, 1)))
        found = emit("Add", found, stored(np.asarray(GRAY_HALF, np.float32)))
        found = emit("Floor", emit("Mul", found, stored(np.asarray(1 / GRAY_WHOLE, np.float32))))
    factor, shift = _numbers(preprocess)
    found = emit("Add", emit("Mul", found, stored(factor)), stored(shift))
    if first:
        found = emit("Transpose", found, perm=[0, 3, 1, 2])
    if element != TensorProto.FLOAT:
        found = emit("Cast", found, to=element)
    nodes[-1].output[0] = inside
    return nodes, constants


def _numbers(preprocess: Preprocess) -> tuple[np.ndarray, np.ndarray]:
    """Factor and summand of a pixel, one for each channel: (pixel / scale - mean) / std."""
    channels = preprocess.channels
    mean = np.broadcast_to(np.asarray(preprocess.mean or (0.0,), np.float64), (channels,))
    std = np.broadcast_to(np.asarray(preprocess.std or (1.0,), np.float64), (channels,))
    return (1 / (preprocess.scale * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _retype(value: ValueInfoProto, shape: Sequence[Any] | None, *, first: bool) -> None:
    """The input as bytes, channels last."""
    batch, one, two, three = shape or (None,) * _RANK
    height, width = (two, three) if first else (one, two)
    made = helper.make_tensor_value_info(value.name, TensorProto.UINT8, [batch, height, width, 3])
    value.type.CopyFrom(made.type)


def _free(proto: ModelProto, name: str) -> str:
    taken = {each for graph in all_graphs(proto.graph) for node in graph.node for each in (*node.input, *node.output)}
    taken |= {each.name for each in proto.graph.initializer}
    while any(each.startswith(name) for each in taken):
        name += "_"
    return name


def _proven(model: Model, result: Model, steps: Mapping[str, Preprocess], seed: int) -> str:
    """Compare both under ONNX Runtime: the original gets what numpy makes of the images.

    Raises:
        ModelError: They differ.
        RunnerError: One does not run.
    """
    before, after = [], []
    rng = np.random.default_rng(seed)
    for draw in range(_DRAWS):
        one, two = _feeds(model, steps, rng, size=_USUAL if draw % 2 else _USUAL // 2)
        before.append(one)
        after.append(two)
    expected, actual = _ran(OnnxRunner(model.path or model.skeleton).run(before)), _ran(_run(result, after))
    worst = float("inf")
    for right, found in zip(expected, actual, strict=True):
        for name in output_names(model.skeleton):
            compared = compare(right[name], found[name], FLOAT32)
            worst = min(worst, compared.snr_db)
            if not compared.passed:
                raise ModelError(
                    f"with the preprocessing embedded, output {name!r} differs ({compared.snr_db:.1f} dB)",
                    hint="do it in the application, as `mnncompat snippet --preprocess` writes it",
                )
    return f"proven equal under ONNX Runtime in {_DRAWS} draws, SNR {worst:.1f} dB"


def _ran(found: list[dict[str, np.ndarray]] | Failure) -> list[dict[str, np.ndarray]]:
    if isinstance(found, Failure):
        raise RunnerError(f"the embedded preprocessing cannot be proven: {found.message}", hint="check the model")
    return found


def _run(model: Model, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
    """The embedded model: its weights have to be in it to run it from memory."""
    from mnncompat.graph import payloads

    whole = ModelProto()
    whole.CopyFrom(model.skeleton)
    payloads.fill(whole)
    return OnnxRunner(whole, folder=None if model.path is None else model.path.parent).run(feeds)


def _feeds(
    model: Model, steps: Mapping[str, Preprocess], rng: np.random.Generator, *, size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    before: dict[str, np.ndarray] = {}
    after: dict[str, np.ndarray] = {}
    for spec in input_signature(model.skeleton):
        shape = [each if isinstance(each, int) else size if at else 1 for at, each in enumerate(spec.shape or ())]
        kind = spec.dtype or np.dtype(np.float32)
        if spec.name not in steps:
            drawn = rng.normal(0, 1, shape) if kind.kind == "f" else rng.integers(0, 2, shape)
            before[spec.name] = after[spec.name] = drawn.astype(kind)
            continue
        preprocess = steps[spec.name]
        first = _channels_first(spec.name, spec.shape, TensorProto.FLOAT, preprocess)
        high, wide = shape[2:] if first else shape[1:3]
        after[spec.name] = rng.integers(0, 256, (shape[0], high, wide, 3)).astype(np.uint8)
        before[spec.name] = _prepared(after[spec.name], preprocess, first=first).astype(kind)
    return before, after


def _prepared(pixels: np.ndarray, preprocess: Preprocess, *, first: bool) -> np.ndarray:
    """What numpy makes of a batch of images, as `Preprocess` does."""
    found = pixels[..., ::-1] if preprocess.color == "bgr" else pixels
    if preprocess.color == "gray":
        found = gray(found)
    values = found.astype(np.float32) / np.float32(preprocess.scale)
    mean, std = (np.asarray(each, np.float32) for each in (preprocess.mean or 0, preprocess.std or 1))
    values = (values - mean) / std
    return np.moveaxis(values, -1, 1) if first else values
