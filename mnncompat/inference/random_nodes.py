"""Nodes that draw random numbers, and which outputs of a model depend on what they draw.

Two runs of one model do not agree on such an output, let alone two runtimes: a seed is one runtime's.

A value depends on a node by its elements or by its shape. Shape, Size and what is like something else read the shape
only, so that noise whose size is all that is asked of it matters to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from onnx import GraphProto, NodeProto

from mnncompat.graph.operator_traits import RANDOM, SIZES
from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.validation import all_nodes
from mnncompat.graph.view import GraphView, ModelView
from mnncompat.inference.foreign_domains import CONTRIB_DOMAIN

_OF_CONTRIB = frozenset(("BiasDropout", "BitmaskBiasDropout", "BitmaskDropout", "Sampling"))
_RATIO, _TRAINING = 1, 2
"""Operands of Dropout."""
_LIKE = frozenset(("RandomNormalLike", "RandomUniformLike", "EyeLike"))
"""Of their operand they read the shape only, as `SIZES` do."""
_SHAPED_BY_DATA = frozenset(("Compress", "NonMaxSuppression", "NonZero", "Range", "ConstantOfShape", "Unique"))
"""The elements of any operand decide the shape of the result."""
_SHAPED_BY_OPERANDS = frozenset(
    (
        *("CenterCropPad", "Expand", "OneHot", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "TopK"),
        *("Unsqueeze", "Upsample"),
    )
)
"""The elements of operands behind the first decide the shape of the result."""


class RandomNode(NamedTuple):
    """A node that draws random numbers.

    Attributes:
        view: Its graph.
        position: Its index there.
    """

    view: GraphView
    position: int

    @property
    def node(self) -> NodeProto:
        """The node itself."""
        return self.view.nodes[self.position]

    @property
    def label(self) -> str:
        """Operator and name: ``RandomNormalLike 'noise'``."""
        location = self.view.location(self.position)
        return f"{location.op_type} '{location.node}'"


def is_random(view: GraphView, index: int) -> bool:
    """True if a node draws numbers that matter: a spread of 0, and Dropout that drops nothing, draw none."""
    node = view.nodes[index]
    if not is_onnx(node):
        return node.domain == CONTRIB_DOMAIN and node.op_type in _OF_CONTRIB and _drops(view, node)
    if node.op_type == "Dropout":
        return _drops(view, node)
    if node.op_type in ("RandomNormal", "RandomNormalLike"):
        return bool(attribute(node, "scale", 1.0))
    if node.op_type in ("RandomUniform", "RandomUniformLike"):
        return bool(attribute(node, "low", 0.0) != attribute(node, "high", 1.0))
    return node.op_type in RANDOM


def random_nodes(model: ModelView) -> dict[str, tuple[RandomNode, ...]]:
    """The outputs of a model that depend on what random nodes draw, with these nodes.

    Args:
        model: The model; its subgraphs and functions are looked at.
    """
    if _KEPT not in model.kept:
        found = _Flow(model).through_main() if _may_draw(model) else {}
        model.kept[_KEPT] = {name: tuple(nodes.values()) for name, nodes in found.items() if nodes}
    return cast("dict[str, tuple[RandomNode, ...]]", model.kept[_KEPT])


_KEPT = "random nodes"


def _may_draw(model: ModelView) -> bool:
    wanted = RANDOM | _OF_CONTRIB | {"Dropout"}
    if any(op in wanted for _, op in model.main.kinds):
        return True
    bodies = (
        *(graph.node for held in model.main.held.values() for _, graph in held),
        *(function.node for function in model.proto.functions),
    )
    return any(node.op_type in wanted for nodes in bodies for node in all_nodes(nodes))


def _drops(view: GraphView, node: NodeProto) -> bool:
    """Whether a Dropout is in training mode, as far as the model tells; others than Dropouts draw anyway."""
    if "Dropout" not in node.op_type:
        return True
    # BiasDropout has the bias and the residual before ratio and training mode
    shift = 2 if "Bias" in node.op_type else 0
    if len(node.input) <= _TRAINING + shift or not node.input[_TRAINING + shift]:
        return False
    training = view.stored_value(node.input[_TRAINING + shift])
    ratio = view.stored_value(node.input[_RATIO + shift]) if node.input[_RATIO + shift] else None
    return (training is None or bool(training.any())) and (ratio is None or bool(ratio.any()))


_Nodes = dict[tuple[tuple[str, ...], int], RandomNode]
"""Random nodes, by graph and position, in the order in which they were met."""


class _Dependence(NamedTuple):
    """On which random nodes a value depends: by its elements, and by its shape."""

    elements: _Nodes
    shape: _Nodes


_NOTHING = _Dependence({}, {})


class _Flow:
    """Follows the dependences through all graphs of a model."""

    def __init__(self, model: ModelView) -> None:
        self._main = model.main
        self._functions = {
            (graph.graph.domain, graph.graph.name): graph
            for graph in model.graphs()
            if graph.is_function and graph.parent is None and not isinstance(graph.graph, GraphProto)
        }

    def through_main(self) -> dict[str, _Nodes]:
        known: dict[str, _Dependence] = {}
        self._through(self._main, known)
        return {name: _all(known.get(name, _NOTHING)) for name in self._main.output_names}

    def _through(self, view: GraphView, known: dict[str, _Dependence]) -> None:
        """Add what is computed in a graph to what is known around it."""
        for index, node in enumerate(view.nodes):
            operands = [known.get(name, _NOTHING) for name in node.input]
            results = self._results(view, index, operands, known)
            known |= {name: result for name, result in zip(node.output, results, strict=False) if any(result)}

    def _results(
        self, view: GraphView, index: int, operands: Sequence[_Dependence], known: Mapping[str, _Dependence]
    ) -> Sequence[_Dependence]:
        node = view.nodes[index]
        inner = view.inner_graphs(index)
        function = self._functions.get((node.domain, node.op_type))
        if inner:
            return self._of_graphs(node, inner, operands, known)
        if function is not None:
            inside = dict(zip(function.input_names, operands, strict=False))
            self._through(function, inside)
            return [inside.get(name, _NOTHING) for name in function.output_names]
        found = _of_node(view, node, operands)
        if is_random(view, index):
            found = found._replace(elements=found.elements | {(view.path, index): RandomNode(view, index)})
        return [found] * len(node.output)

    def _of_graphs(
        self,
        node: NodeProto,
        inner: Sequence[GraphView],
        operands: Sequence[_Dependence],
        known: Mapping[str, _Dependence],
    ) -> Sequence[_Dependence]:
        if not is_onnx(node) or node.op_type not in ("If", "Loop", "Scan"):
            bodies = [self._in_body(body, dict(known), operands) for body in inner]
            return [_joined([*operands, *(each for body in bodies for each in body)])] * len(node.output)
        if node.op_type == "If":
            branches = [self._in_body(body, dict(known), ()) for body in inner]
            decided = _joined([operands[0], _Dependence({}, operands[0].elements)])
            return [_joined([decided, *results]) for results in zip(*branches, strict=True)]
        return self._of_steps(node, inner[0], operands, known)

    def _of_steps(
        self, node: NodeProto, body: GraphView, operands: Sequence[_Dependence], known: Mapping[str, _Dependence]
    ) -> Sequence[_Dependence]:
        """A Loop or a Scan: what is carried from step to step, until nothing is added."""
        is_loop = node.op_type == "Loop"
        carried = list(operands[2:] if is_loop else operands)
        states = len(carried) if is_loop else len(carried) - attribute(node, "num_scan_inputs", 0)
        while True:
            results = list(self._in_body(body, dict(known), [*([_NOTHING] * 2 if is_loop else []), *carried]))
            steps = _joined([*operands[:2], results.pop(0)]) if is_loop else _NOTHING
            after = [_joined(pair) for pair in zip(carried[:states], results, strict=False)]
            if after == carried[:states]:
                decided = _Dependence(_all(steps), _all(steps))
                return [_joined([decided, each]) for each in (*after, *results[states:])]
            carried[:states] = after

    def _in_body(
        self, body: GraphView, known: dict[str, _Dependence], operands: Sequence[_Dependence]
    ) -> list[_Dependence]:
        known |= dict(zip(body.input_names, operands, strict=False))
        self._through(body, known)
        return [known.get(name, _NOTHING) for name in body.output_names]


def _of_node(view: GraphView, node: NodeProto, operands: Sequence[_Dependence]) -> _Dependence:
    """What the result of a node without graphs takes over from its operands."""
    joined = _joined(operands)
    if not is_onnx(node) or node.op_type in _SHAPED_BY_DATA:
        return _Dependence(_all(joined), _all(joined))
    if node.op_type in SIZES:
        return _Dependence(joined.shape, {})
    if node.op_type in _LIKE or (node.op_type == "Mul" and any(_is_zero(view, name) for name in node.input)):
        return _Dependence({}, joined.shape)
    if node.op_type in _SHAPED_BY_OPERANDS:
        return _Dependence(joined.elements, joined.shape | _joined(operands[1:]).elements)
    return joined


def _is_zero(view: GraphView, name: str) -> bool:
    value = view.stored_value(name)
    return value is not None and not value.any()


def _joined(dependences: Sequence[_Dependence]) -> _Dependence:
    elements: _Nodes = {}
    shape: _Nodes = {}
    for each in dependences:
        elements |= each.elements
        shape |= each.shape
    return _Dependence(elements, shape)


def _all(dependence: _Dependence) -> _Nodes:
    return dependence.elements | dependence.shape
