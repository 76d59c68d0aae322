"""Shapes as expressions over the dynamic dimensions of a model's inputs, and what the graph requires of these.

ONNX shape inference gives every size that it cannot follow a new name, and says nothing about how sizes have to fit
together. Here ``Concat(past, new)`` is ``past + new``, and an addition of a mask ``[total]`` to it is a requirement,
``total = past + new``, with the node that asks for it. A target that is stored (a Reshape to [1, 256]) requires a
product; a table of positions of 512 rows that is sliced requires at most 512.

Sizes that cannot be followed are None; they require nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnx import GraphProto

from mnncompat.graph.protos import is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.foreign_sizes import FOREIGN_SIZES
from mnncompat.inference.layer_shapes import LAYERS
from mnncompat.inference.reshaping_shapes import KEEP_SHAPE, RESHAPING
from mnncompat.inference.selection_shapes import SELECTIONS
from mnncompat.inference.shape_propagation import Propagation, Requirement, Shape
from mnncompat.inference.spectrum_shapes import SPECTRA

_FUNCTIONS = {**RESHAPING, **SELECTIONS, **LAYERS, **SPECTRA}


@dataclass(frozen=True, slots=True)
class SymbolicShapes:
    """What is known about the shapes of a main graph's values.

    Attributes:
        shapes: By value; a size is None where it cannot be followed, a shape is None where the rank is unknown.
        requirements: What the nodes ask of the dimensions, in graph order, each once.
        dimensions: Input -> its dynamic dimensions by axis.
    """

    shapes: Mapping[str, Shape | None]
    requirements: tuple[Requirement, ...]
    dimensions: Mapping[str, Mapping[int, str]]


def symbolic_shapes(view: GraphView, *, infer: bool = True) -> SymbolicShapes:
    """Follow the sizes of a main graph from its inputs to its outputs.

    Args:
        view: The main graph.
        infer: Ask ONNX shape inference for what cannot be followed; it takes several times as long as the rest.
    """
    assert isinstance(view.graph, GraphProto)  # noqa: S101 - a function has no declared inputs
    run = Propagation(view, infer=infer)
    dimensions = run.declare_inputs(view.graph)
    _follow(run)
    unique = dict.fromkeys(run.requirements)
    return SymbolicShapes(shapes=run.shapes, requirements=tuple(unique), dimensions=dimensions)


def _follow(run: Propagation) -> None:
    """Follow the sizes through all nodes of a graph, and of the graphs that they hold."""
    view = run.view
    for index, node in enumerate(view.nodes):
        if node.op_type == "Constant" and run.shape(node.output[0]) is not None:
            continue
        run.index = index
        shapes: Sequence[Shape | None] | None = None
        if node.op_type in ("If", "Loop") and is_onnx(node):
            shapes = _through_subgraphs(run, index)
        else:
            function = FOREIGN_SIZES.get((node.domain, node.op_type))
            if function is None and is_onnx(node):
                function = _FUNCTIONS.get(node.op_type)
            try:
                if function is not None:
                    shapes = function(run, node)
                elif is_onnx(node) and node.op_type in KEEP_SHAPE:
                    shapes = [run.shape(node.input[0])] * len(node.output)
            except (ArithmeticError, IndexError, TypeError, ValueError):  # what onnx.checker would refuse
                shapes = None
        run.define(node, shapes)


def _through_subgraphs(run: Propagation, index: int) -> list[Shape | None]:
    """Shapes of an If's outputs, as far as its branches agree; of a Loop's, as far as its body keeps them."""
    node = run.view.nodes[index]
    found: list[list[Shape | None]] = []
    for inner in run.view.inner_graphs(index):
        body = Propagation(inner, infer=run.infers, outer=run)
        if node.op_type == "Loop":
            names = inner.input_names
            body.shapes |= {name: run.shape(of) for name, of in zip(names[2:], node.input[2:], strict=False)}
            body.shapes |= dict.fromkeys(names[:2], ())
        _follow(body)
        run.requirements += body.requirements
        found.append([body.shape(name) for name in inner.output_names])
    if node.op_type == "If":
        return [_agreed(shapes) for shapes in zip(*found, strict=True)] if found else []
    kept = [run.shape(name) for name in node.input[2:]]
    after = found[0][1:] if found else []
    return [before if before == later else None for before, later in zip(kept, after, strict=False)]


def _agreed(shapes: Sequence[Shape | None]) -> Shape | None:
    first = shapes[0]
    if first is None or any(other is None or len(other) != len(first) for other in shapes):
        return None
    return tuple(
        size if all(other is not None and other[axis] == size for other in shapes) else None
        for axis, size in enumerate(first)
    )
