"""The smallest model that still shows a fault: nodes are removed and dimensions halved, as long as it does.

Any set of nodes is a model, because values that are computed outside of it are fed as they are in the whole. Dimensions
are halved by slicing inputs and constants, alone or together with all others of that size; what ONNX Runtime then
refuses is no model, and is not taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto

from mnncompat.diagnosing.excerpts import Excerpt, excerpt, typed
from mnncompat.graph.tensor_values import array_tensor, tensor_array
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.diagnosing.bench import Bench, Outcome
    from mnncompat.graph.view import GraphView
    from mnncompat.mnn import ConvertOptions

_SECONDS = 60.0
_Places = tuple[tuple[str, int], ...]


def symptom(outcome: Outcome) -> str:
    """What is wrong, as a word to compare: the kind and the stage of a failure, `wrong` or `right`."""
    if outcome.failure is not None:
        return f"{outcome.failure.kind.value} at {outcome.failure.stage.value}"
    return "right" if outcome.is_right else "wrong"


def minimized(
    part: Excerpt, view: GraphView, values: Mapping[str, np.ndarray], bench: Bench, options: ConvertOptions
) -> Excerpt:
    """Make a part smaller as long as it shows the same.

    Args:
        part: A part that is wrong with these options.
        view: The graph that it comes from.
        values: The values of that graph.
        bench: Runs parts.
        options: Of the conversion.
    """
    wanted = symptom(bench.attempt(part, options))
    end = time.monotonic() + _SECONDS

    def shows(candidate: Excerpt) -> bool:
        return time.monotonic() < end and symptom(bench.attempt(candidate, options)) == wanted

    fewer = _with_fewer_nodes(part, view, values, shows)
    single = next((each for each in _single_outputs(fewer) if shows(each)), fewer)
    return _with_smaller_sizes(single, shows)


def _with_fewer_nodes(
    part: Excerpt, view: GraphView, values: Mapping[str, np.ndarray], shows: Callable[[Excerpt], bool]
) -> Excerpt:
    smaller = True
    while smaller and len(part.nodes) > 1:
        smaller = False
        for index in part.nodes:
            candidate = excerpt(view, [each for each in part.nodes if each != index], values)
            if candidate is not None and shows(candidate):
                part, smaller = candidate, True
                break
    return part


def _single_outputs(part: Excerpt) -> Iterator[Excerpt]:
    """The part with one of its outputs alone."""
    if len(part.expected) < 2:  # noqa: PLR2004 - several
        return
    for name, array in part.expected.items():
        model = copy_of(part.model)
        del model.graph.output[:]
        model.graph.output.append(typed(name, array))
        yield replace(part, model=model, expected={name: array})


def _with_smaller_sizes(part: Excerpt, shows: Callable[[Excerpt], bool]) -> Excerpt:
    smaller = True
    while smaller:
        smaller = False
        for places in halvings(part):
            candidate = halved(part, places)
            if candidate is not None and shows(candidate):
                part, smaller = candidate, True
                break
    return part


def halvings(part: Excerpt) -> Iterator[_Places]:
    """Axes that may be halved together: every axis of an input or a constant alone, and all axes of its size."""
    shapes = {name: array.shape for name, array in part.feeds.items()}
    shapes |= {each.name: tuple(each.dims) for each in part.model.graph.initializer}
    axes = [(name, axis, size) for name, shape in shapes.items() for axis, size in enumerate(shape) if size > 1]
    seen: set[_Places] = set()
    for name, axis, size in sorted(axes, key=lambda each: -each[2]):
        alike = tuple((other, place) for other, place, length in axes if length == size)
        same_axis = tuple((other, place) for other, place in alike if place == axis)
        for places in (((name, axis),), same_axis, alike):
            if places not in seen:
                seen.add(places)
                yield places


def halved(part: Excerpt, places: _Places) -> Excerpt | None:
    """The part with half of these axes; None if that is no model.

    Args:
        part: The part.
        places: Inputs and constants, and an axis of each.
    """
    feeds, model = dict(part.feeds), copy_of(part.model)
    stored = {each.name: each for each in model.graph.initializer}
    for name, axis in places:
        if name in feeds:
            feeds[name] = _half(feeds[name], axis)
        else:
            array = _half(tensor_array(stored[name]), axis)
            stored[name].CopyFrom(array_tensor(array, name))
    _state_kernels(model)
    del model.graph.input[:]
    model.graph.input.extend(typed(name, array) for name, array in feeds.items())
    names = list(part.expected)
    for each in model.graph.output:
        each.type.tensor_type.ClearField("shape")
    found = OnnxRuntimeRunner(model).run([feeds])
    if isinstance(found, Failure) or any(not found[0][name].size for name in names):
        return None
    del model.graph.output[:]
    model.graph.output.extend(typed(name, found[0][name]) for name in names)
    return replace(part, model=model, feeds=feeds, expected={name: found[0][name] for name in names})


def copy_of(model: ModelProto) -> ModelProto:
    """A copy that may be changed."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def _half(array: np.ndarray, axis: int) -> np.ndarray:
    return np.ascontiguousarray(np.take(array, range(array.shape[axis] // 2), axis=axis))


def _state_kernels(model: ModelProto) -> None:
    """Let convolutions state the size of the kernels that they have."""
    shapes = {each.name: list(each.dims) for each in model.graph.initializer}
    for node in model.graph.node:
        for each in node.attribute:
            weight = shapes.get(node.input[1]) if len(node.input) > 1 else None
            if each.name == "kernel_shape" and weight is not None and len(weight) == len(each.ints) + 2:
                each.ints[:] = weight[2:]
