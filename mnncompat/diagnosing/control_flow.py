"""Inside of If and Loop: the body that ran as a model of its own, fed with what it gets in the whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from mnncompat.diagnosing.correspondence import constant_values, reads
from mnncompat.diagnosing.excerpts import typed
from mnncompat.graph.protos import attribute
from mnncompat.graph.tensor_values import array_tensor, data_type_of
from mnncompat.mnn import Held, read_graph
from mnncompat.mnn.bodies import bodies_of, write_body
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.results.failures import Failure

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView

_KINDS = {"b": "int32", "i": "int32", "u": "int32"}
_MOST_STEPS = 3
_STATES = 2
"""Inputs of a loop's body before its states: the number of the step, and the condition."""
_Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body that ran.

    Attributes:
        name: Of the attribute that holds it: `then_branch`, `body`.
        model: The body as a model.
        feeds: Its inputs, in each step that is looked at.
        file: The same body cut out of the converted file; None if it has none of that kind.
    """

    name: str
    model: ModelProto
    feeds: tuple[dict[str, np.ndarray], ...]
    file: Path | None

    @property
    def held(self) -> dict[str, Held]:
        """How MNN holds its inputs."""
        return {name: Held("NCHW", _KINDS.get(each.dtype.kind, "float32")) for name, each in self.feeds[0].items()}


def body_of(
    view: GraphView, index: int, values: _Values, file: Path | None, folder: Path, beside: Collection[str] = ()
) -> Body | None:
    """The body of a node that ran.

    Args:
        view: The graph of the node.
        index: The node's.
        values: The right values of the graph.
        file: The converted file; None to leave it out.
        folder: For the body's own file.
        beside: Values that the same op of the file may compute under their names, as those of an Identity behind it.

    Returns:
        The body; None if the node has none, or what it is fed with is not known.
    """
    node = view.nodes[index]
    if node.op_type == "If" and node.input[0] in values:
        taken = bool(np.all(values[node.input[0]]))
        name = "then_branch" if taken else "else_branch"
    elif node.op_type == "Loop":
        taken, name = False, "body"
    else:
        return None
    graph = attribute(node, name)
    model = _as_model(view, graph, values)
    if model is None:
        return None
    outer = {each.name: values[each.name] for each in model.graph.input if each.name in values}
    feeds = (outer,) if node.op_type == "If" else tuple(_steps(node, graph, model, outer, values))
    if not feeds or any(set(each) != {value.name for value in model.graph.input} for each in feeds):
        return None
    own = None if file is None else _cut(file, [*node.output, *beside], folder / f"body-{index}.mnn", first=taken)
    return Body(name=name, model=model, feeds=feeds, file=own if own and _fits(own, model) else None)


def _as_model(view: GraphView, graph: GraphProto, values: _Values) -> ModelProto | None:
    """A body as a model: what it captures becomes inputs, or initializers where that is constant."""
    holder = NodeProto(op_type="If")
    holder.attribute.append(helper.make_attribute("body", graph))
    captured = list(dict.fromkeys(reads(holder)))
    constant = constant_values(view)
    stored = {name: view.stored_value(name) for name in captured if name in constant}
    held = {name: values.get(name) if array is None else array for name, array in stored.items()}
    fed = [name for name in captured if name not in constant]
    if any(array is None for array in held.values()) or any(name not in values for name in fed):
        return None
    made = {name for node in graph.node for name in node.output}
    results = [value for value in graph.output if value.name in made]
    body = helper.make_graph(
        list(graph.node),
        "body",
        [*graph.input, *(typed(name, values[name]) for name in fed)],
        results,
        [*graph.initializer, *(array_tensor(np.asarray(array), name) for name, array in held.items())],
    )
    proto = view.scope.proto
    model = helper.make_model(body, opset_imports=proto.opset_import, functions=proto.functions)
    model.ir_version = max(proto.ir_version, 8)
    return model if results else None


def _steps(
    node: NodeProto, graph: GraphProto, model: ModelProto, outer: Mapping[str, np.ndarray], values: _Values
) -> Iterator[dict[str, np.ndarray]]:
    """What a loop's body is fed with in its first steps."""
    limit = values.get(node.input[0]) if node.input and node.input[0] else None
    count = min(_MOST_STEPS, _MOST_STEPS if limit is None else int(limit))
    names = [each.name for each in graph.input]
    if any(name and name not in values for name in node.input[_STATES:]):
        return
    states = [values[name] for name in node.input[_STATES:]]
    _state_types(model, names, states)
    runner = OnnxRuntimeRunner(model)
    for step in range(count):
        inputs = [np.asarray(step, np.int64), np.asarray(True), *states]  # noqa: FBT003 - the condition
        feed = dict(outer) | dict(zip(names, inputs, strict=True))
        yield feed
        found = runner.run([feed])
        results = [each.name for each in graph.output]
        if isinstance(found, Failure) or any(name not in found[0] for name in results[: 1 + len(states)]):
            return
        if not bool(np.all(found[0][results[0]])):
            return
        states = [found[0][name] for name in results[1 : 1 + len(states)]]


def _state_types(model: ModelProto, names: list[str], states: list[np.ndarray]) -> None:
    """Declare what a body leaves open: types of its inputs."""
    inputs = {each.name: each for each in model.graph.input}
    for name, array in zip(names[_STATES:], states, strict=False):
        if not inputs[name].type.tensor_type.elem_type:
            inputs[name].type.tensor_type.elem_type = data_type_of(array.dtype)
    for name, kind in zip(names[:_STATES], (TensorProto.INT64, TensorProto.BOOL), strict=False):
        inputs[name].type.tensor_type.elem_type = kind


def _cut(file: Path, results: Sequence[str], out: Path, *, first: bool) -> Path | None:
    """The body of the op that computes one of these results, cut out of the file."""
    for value in filter(None, results):
        found = bodies_of(file, value)
        if found is not None:
            name = found.first if first else found.second
            return out if name and write_body(file, name, out) else None
    return None


def _fits(file: Path, model: ModelProto) -> bool:
    """Whether the file's body takes nothing but what the ONNX body takes, and gives its results by the same names."""
    graph = read_graph(file)
    taken = {name for op in graph.ops if not op.body and op.type == "Input" for name in op.values}
    made = {name for op in graph.ops if not op.body for name in op.values}
    return taken <= {each.name for each in model.graph.input} and {each.name for each in model.graph.output} <= made
