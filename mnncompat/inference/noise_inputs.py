"""Random nodes whose numbers a caller could feed instead: inputs that take their place, and why others have none.

The rewrite `noise-as-input` makes these inputs, and the proof of it (`mnncompat.parity.recorded_noise`) records in the
original what to feed them with.

What the numbers are like cannot be told from the rewritten graph, so that it is kept with the model, as JSON in its
metadata under `KEY`: input -> kind, low, high, reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf, isfinite
from typing import NamedTuple, cast

import onnx.inliner
from onnx import ModelProto

from mnncompat.graph.operator_traits import RANDOM
from mnncompat.graph.protos import Dim, attribute, is_onnx
from mnncompat.graph.value_names import names_in_use
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.inference.domain_claims import Kind
from mnncompat.inference.input_domains import Domain
from mnncompat.inference.model_view import view_model
from mnncompat.inference.random_nodes import RandomNode, random_nodes

KEY = "mnncompat.noise"
"""Entry of a model's metadata."""
_BODIES_RUN_ONCE = ("then_branch", "else_branch")


class NoiseInput(NamedTuple):
    """An input that takes the place of a random node.

    Attributes:
        source: The node.
        name: The input's.
        element: Its element type (`onnx.TensorProto.DataType`).
        shape: Its shape; only dimensions of the model's inputs are named.
        domain: What its values are.
    """

    source: RandomNode
    name: str
    element: int
    shape: tuple[Dim, ...]
    domain: Domain


class Noise(NamedTuple):
    """The random nodes of a model that outputs depend on.

    Attributes:
        inputs: Those whose numbers can be fed.
        refused: The others, each with the reason.
    """

    inputs: tuple[NoiseInput, ...]
    refused: tuple[tuple[RandomNode, str], ...]


def noise_of(model: ModelView) -> Noise:
    """Find the random nodes that matter, and what could be fed in their place.

    Args:
        model: The model; random nodes in local functions are not refused, but have to be written out of them first, see
            `without_functions`.
    """
    if _KEPT not in model.kept:
        model.kept[_KEPT] = _noise_of(model)
    return cast("Noise", model.kept[_KEPT])


_KEPT, _WRITTEN_OUT = "noise", "without functions"


def _noise_of(model: ModelView) -> Noise:
    sources = {(each.view.path, each.position): each for nodes in random_nodes(model).values() for each in nodes}
    names = set(names_in_use(model.proto.graph))
    known = {each for name in model.main.input_names for each in model.main.shape(name) or () if isinstance(each, str)}
    inputs: list[NoiseInput] = []
    refused: list[tuple[RandomNode, str]] = []
    for each in sorted(sources.values(), key=lambda source: (source.view.path, source.position)):
        reason = _refusal(each)
        if reason:
            refused.append((each, reason))
        else:
            inputs.append(_input(each, _unique(each, names), known))
    return Noise(tuple(inputs), tuple(refused))


def without_functions(model: ModelView) -> ModelView:
    """The model with its functions written where they are called, if one of them draws; else the very model."""
    drawn = (each for nodes in random_nodes(model).values() for each in nodes)
    if not any(_function(each.view) for each in drawn):
        return model
    if _WRITTEN_OUT not in model.kept:
        proto = onnx.inliner.inline_local_functions(model.proto)
        model.kept[_WRITTEN_OUT] = view_model(model.model.changed(proto))
    return cast("ModelView", model.kept[_WRITTEN_OUT])


def describe(proto: ModelProto, inputs: Mapping[str, Domain]) -> None:
    """Add to a model's metadata what the values of inputs are."""
    kept = _read(proto) | {
        name: {"kind": each.kind.value, "low": _bound(each.low), "high": _bound(each.high), "reason": each.reasons[0]}
        for name, each in inputs.items()
    }
    text = json.dumps(kept)
    entry = next((each for each in proto.metadata_props if each.key == KEY), None)
    if entry is None:
        proto.metadata_props.add(key=KEY, value=text)
    else:
        entry.value = text


def with_described(proto: ModelProto, domains: Mapping[str, Domain]) -> dict[str, Domain]:
    """The domains of a model's inputs, with what its metadata says about them; the narrower bounds hold."""
    found = dict(domains)
    for name, stated in _described(proto):
        told = found.get(name)
        if told is not None and told.kind is stated.kind:
            low, high = max(told.low, stated.low), min(told.high, stated.high)
            if low <= high:
                found[name] = replace(told, low=low, high=high, reasons=(*stated.reasons, *told.reasons))
        elif told is not None and (stated.kind is not Kind.NUMBERS or not told.reasons):
            found[name] = stated
    return found


def _described(proto: ModelProto) -> Iterator[tuple[str, Domain]]:
    for name, each in _read(proto).items():
        try:
            kind, low, high, reason = Kind(str(each["kind"])), each["low"], each["high"], str(each["reason"])
            bounds = (-inf if low is None else float(low), inf if high is None else float(high))
        except (KeyError, TypeError, ValueError):  # written by somebody else
            continue
        yield name, Domain(kind=kind, low=bounds[0], high=bounds[1], reasons=(reason,))


def _bound(number: float) -> float | None:
    return number if isfinite(number) else None


def _read(proto: ModelProto) -> dict[str, Mapping[str, str | float | None]]:
    text = next((each.value for each in proto.metadata_props if each.key == KEY), "{}")
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _function(view: GraphView) -> bool:
    """Whether a graph is a function's body, or in one."""
    return view.is_function or (view.parent is not None and _function(view.parent))


def _refusal(source: RandomNode) -> str:
    """Why nobody could feed the numbers of a node; empty if somebody can."""
    node = source.node
    if not is_onnx(node) or node.op_type not in RANDOM:
        if "Dropout" in node.op_type:
            return "it is in training mode: export the model for inference, where it drops nothing"
        return "it computes more than it draws"
    if _function(source.view):
        return ""  # judged again where it is called
    repeated = _repeated(source.view)
    if repeated:
        return f"it is in the body of {repeated}, which draws anew in every step"
    name = node.output[0]
    if source.view.shape(name) is None or source.view.dtype(_fed(source)) is None:
        return f"the shape or type of '{name}' is not known"
    return ""


def _repeated(view: GraphView) -> str:
    """The node around a graph that runs it several times; empty if there is none."""
    if view.parent is None:
        return ""
    index, name = view.address[-1]
    if name in _BODIES_RUN_ONCE:
        return _repeated(view.parent)
    location = view.parent.location(index)
    return f"{location.op_type} '{location.node}'"


def _fed(source: RandomNode) -> str:
    """The value whose type the input has: Bernoulli's numbers are compared with its probabilities."""
    node = source.node
    return node.input[0] if node.op_type == "Bernoulli" else node.output[0]


def _unique(source: RandomNode, names: set[str]) -> str:
    base = f"{source.view.location(source.position).node}_noise"
    name, count = base, 1
    while name in names:
        count += 1
        name = f"{base}_{count}"
    names.add(name)
    return name


def _input(source: RandomNode, name: str, known: set[str]) -> NoiseInput:
    shape = source.view.shape(source.node.output[0]) or ()
    return NoiseInput(
        source=source,
        name=name,
        element=source.view.dtype(_fed(source)) or 0,
        shape=tuple(dim if isinstance(dim, int) or dim in known else None for dim in shape),
        domain=_domain(source),
    )


def _domain(source: RandomNode) -> Domain:
    node, label = source.node, source.label
    if node.op_type in ("RandomNormal", "RandomNormalLike"):
        mean, scale = attribute(node, "mean", 0.0), attribute(node, "scale", 1.0)
        words = f"in place of {label}, which draws from N({mean:g}, {scale:g})"
        return Domain(kind=Kind.NUMBERS, reasons=(words,))
    if node.op_type in ("RandomUniform", "RandomUniformLike"):
        low, high = sorted((attribute(node, "low", 0.0), attribute(node, "high", 1.0)))
        words = f"in place of {label}, which draws from {low:g} to {high:g}"
        return Domain(kind=Kind.BOUNDED, low=low, high=high, reasons=(words,))
    if node.op_type == "Bernoulli":
        words = f"from 0 to 1, {label} is true where they are below its probabilities"
        return Domain(kind=Kind.BOUNDED, low=0, high=1, reasons=(words,))
    classes = (source.view.shape(node.input[0]) or (None,))[-1]
    high = classes - 1 if isinstance(classes, int) else inf
    return Domain(kind=Kind.IDS, low=0, high=high, reasons=(f"in place of {label}, which draws classes",))
