"""The nodes of a user's model as cases: each distinct one cut out with the inputs that it really gets.

Of nodes with the same fingerprint (`mnncompat.probe.node_fingerprint`), the first one is measured for all. The model is
run once under ONNX Runtime with every intermediate value kept: the operands of a node are the inputs of its
micro-model, and its results the expected outputs. Values that are known when the model is converted become
initializers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from mnncompat.errors import RunnerError
from mnncompat.graph.payloads import fill
from mnncompat.graph.protos import qualified_op
from mnncompat.graph.validation import subgraphs
from mnncompat.graph.view import GraphView
from mnncompat.inference.model_view import view_model
from mnncompat.parity.real_data import Given, RealData, real_data
from mnncompat.parity.real_draws import Feeder, run_on_data
from mnncompat.parity.reference import run_reference
from mnncompat.parity.runners import OnnxRuntimeRunner
from mnncompat.parity.sampling import DRAWS
from mnncompat.parity.signature import input_signature
from mnncompat.probe.case import Case
from mnncompat.probe.node_fingerprint import node_fingerprint
from mnncompat.results.failures import Failure
from mnncompat.support.node_facts import NodeFacts

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model

_RTOL, _ATOL = 1e-3, 1e-5
_IR_VERSION = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCase:
    """A node of the main graph and the case that is measured for it.

    Attributes:
        index: Index of the node.
        case: The micro-model, of this node or of one with the same fingerprint. None if the node cannot be cut out.
        reason: Why it cannot.
    """

    index: int
    case: Case | None
    reason: str = ""


def node_cases_of(
    model: Model,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: Given | None = None,
    seed: int = 0,
    apart: Collection[int] = (),
) -> tuple[NodeCase, ...]:
    """Cut out every node of the main graph that computes something at run time.

    Args:
        model: The model; its weights are loaded.
        shapes: Shapes of inputs with dynamic dimensions; chosen when left out.
        inputs: Real data, see `mnncompat.parity.real_data`; the first sample is run.
        seed: Of the drawn inputs.
        apart: Indices of nodes that are measured on their own values, unless another one is equal in every value.

    Raises:
        RunnerError: ONNX Runtime cannot run the model, so that no node's inputs are known.
        UsageError: A shape or an array does not fit the model.
        ModelError: External data cannot be read.
    """
    model.load_weights()
    view = view_model(model).main
    values = _values(model, view, shapes or {}, real_data(inputs), seed)
    known: dict[str, Case] = {}
    return tuple(
        _site(view, index, values, known, apart) for index, node in enumerate(view.nodes) if node.op_type != "Constant"
    )


def _values(
    model: Model,
    view: GraphView,
    shapes: Mapping[str, tuple[int, ...]],
    data: RealData,
    seed: int,
) -> dict[str, np.ndarray]:
    """Every tensor of the main graph, by name, in one run."""
    feeder = Feeder(model.skeleton, input_signature(model.skeleton), shapes, data, seed=seed)
    runner = OnnxRuntimeRunner(_instrumented(model.skeleton, view))
    if feeder.draws:
        found = run_on_data(feeder, runner, feeder.draws[:1])
    else:
        found = run_reference(feeder.planner(feeder.shapes, {}), runner, draws=DRAWS[:1])
    if not isinstance(found.outputs, Failure):
        return {**found.feeds[0].arrays, **found.outputs[0]}
    words = found.outputs.message
    raise RunnerError(
        f"ONNX Runtime cannot run the model, so its nodes cannot be measured: {words}",
        hint=found.outputs.way_to_a_reference("give the shapes of dynamic inputs with --shape, or data with --input"),
    )


def _instrumented(proto: ModelProto, view: GraphView) -> ModelProto:
    """The model with every tensor of its main graph as an output."""
    shown = ModelProto()
    shown.CopyFrom(proto)
    present = {value.name for value in shown.graph.output}
    for node in view.nodes:
        for name in node.output:
            if name and name not in present and view.dtype(name) is not None:
                shown.graph.output.append(ValueInfoProto(name=name))
                present.add(name)
    return shown


def _site(
    view: GraphView, index: int, values: Mapping[str, np.ndarray], known: dict[str, Case], apart: Collection[int]
) -> NodeCase:
    node = view.nodes[index]
    reads = [*filter(None, node.input), *_captured(node)]
    writes = [name for name in node.output if name]
    unknown = [n for n in reads if n not in values and view.stored_value(n) is None] + [
        n for n in writes if n not in values
    ]
    if unknown:
        return NodeCase(index=index, case=None, reason=f"'{unknown[0]}' is not a tensor that ONNX Runtime shows")
    facts = NodeFacts(view, index, {})
    stored = {name: _stored(view, name, values) for name in reads if facts.is_constant(name)}
    if len(stored) == len(set(reads)):
        return NodeCase(index=index, case=None, reason="it is computed from constants when the model is converted")
    feeds = {name: values[name] for name in reads if name not in stored}
    case, key = _case(view, node, stored, feeds, {name: values[name] for name in writes})
    return NodeCase(index=index, case=known.setdefault(case.id if index in apart else key, case))


def _stored(view: GraphView, name: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    array = view.stored_value(name)
    return values[name] if array is None else array


_Arrays = Mapping[str, np.ndarray]


def _case(view: GraphView, node: NodeProto, stored: _Arrays, fed: _Arrays, written: _Arrays) -> tuple[Case, str]:
    """The case, and its fingerprint."""
    names = _short_names(node, [*stored, *fed, *written])
    bare = NodeProto()
    bare.CopyFrom(node)
    bare.name, bare.doc_string = "node", ""
    del bare.metadata_props[:]
    bare.input[:] = [names.get(name, "") for name in node.input]
    bare.output[:] = [names.get(name, "") for name in node.output]
    feeds = {names[name]: array for name, array in fed.items()}
    expected = {names[name]: array for name, array in written.items()}
    inner = {names[name] for name in written if name not in view.outputs}
    nodes, shown, shapes = _behind(bare, expected, inner)
    inputs, outputs = ([_typed(name, array) for name, array in each.items()] for each in (feeds, shown))
    graph = helper.make_graph(nodes, "node", inputs, outputs)
    proto = view.scope.proto
    model = helper.make_model(graph, opset_imports=proto.opset_import, functions=proto.functions)
    model.ir_version = max(proto.ir_version, _IR_VERSION) if proto.functions else _IR_VERSION
    fill(model)
    held = {names[name]: array for name, array in stored.items()}
    op, bare_model = qualified_op(node), model.SerializeToString(deterministic=True)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in (*held.items(), *shapes.items())
    )
    data = model.SerializeToString(deterministic=True)
    key = hashlib.sha256(data)
    for array in feeds.values():
        key.update(np.ascontiguousarray(array).tobytes())
    case = Case(
        id=f"user:{key.hexdigest()[:24]}",
        op=op,
        model=data,
        feeds=feeds,
        expected=dict(shown),
        rtol=_RTOL,
        atol=_ATOL,
    )
    return case, node_fingerprint(bare_model, op, stored=held, fed=feeds, written=shown)


def _behind(node: NodeProto, expected: _Arrays, inner: set[str]) -> tuple[list[NodeProto], _Arrays, _Arrays]:
    """Reshape what is no output of the model to its own shape.

    Some operators give a graph output a dimension too many (Conv of one dimension) that the operator behind them does
    not see: a node inside a model is measured as one inside a model.
    """
    nodes, shown, shapes = [node], {}, {}
    for name, array in expected.items():
        if name in inner and array.size:
            shapes[f"{name}_shape"] = np.array(array.shape, dtype=np.int64)
            nodes.append(helper.make_node("Reshape", [name, f"{name}_shape"], [f"{name}_same"]))
        shown[f"{name}_same" if f"{name}_shape" in shapes else name] = array
    return nodes, shown, shapes


def _short_names(node: NodeProto, names: list[str]) -> dict[str, str]:
    """Neutral names, so that equal nodes are the same case; a node with subgraphs keeps its own names."""
    if any(True for _ in subgraphs(node)):
        return {name: name for name in names}
    return {name: f"v{number}" for number, name in enumerate(names)}


def _captured(node: NodeProto) -> Iterator[str]:
    """Values of enclosing graphs that the subgraphs of a node read."""
    for _, graph in subgraphs(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        used = [name for inner in graph.node for name in (*inner.input, *_captured(inner))]
        used += [value.name for value in graph.output]
        yield from (name for name in used if name and name not in own)


def _typed(name: str, array: np.ndarray[Any, Any]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
