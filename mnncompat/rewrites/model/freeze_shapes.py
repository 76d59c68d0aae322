"""Give dynamic inputs the shapes that the user names, and fold what becomes constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TypeProto, helper

from mnncompat.errors import UsageError
from mnncompat.graph.model_file import Model
from mnncompat.graph.protos import dims_of, is_onnx
from mnncompat.graph.tensor_values import array_tensor
from mnncompat.graph.validation import all_graphs
from mnncompat.graph.view import ModelView
from mnncompat.inference.constant_folding import constant_value, is_constant
from mnncompat.inference.model_view import view_model
from mnncompat.results.diagnostics import Applicability
from mnncompat.rewrites.core.model_rewrite import ModelRewrite, RewriteLocation

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView
    from mnncompat.support.target import Target

# Shape arithmetic is a handful of numbers; a folded weight would only make the file larger.
_MOST_ELEMENTS = 4096
_ROUNDS = 8


class FreezeShapes(ModelRewrite):
    """Fix the dynamic dimensions of inputs, and compute the shape arithmetic that becomes constant.

    **What.** `mnncompat fix MODEL --shape image:1,3,224,224`. Dimensions that share a symbol with a frozen one are
    frozen with it, outputs included.

    **Why.** With static shapes MNN plans memory once, delegates to more backends, and needs none of the Shape, Gather
    and Concat nodes that exporters write around a dynamic Reshape.

    **Before and after**::

        x [N,3,H,W]; Shape(x) -> Gather -> Concat -> Reshape
        x [1,3,224,224]; Reshape to a constant

    **Unsafe** by nature: afterwards the model accepts this one shape only. Never applied unless asked for with
    ``--shape``.

    **Refuses** shapes that contradict the declared ones.

    Args:
        shapes: Input name -> shape.
    """

    code = "MNN808"
    name = "freeze-shapes"
    summary = "frozen"
    on_request = True
    applicability = Applicability.UNSAFE

    def __init__(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self._shapes = {name: tuple(shape) for name, shape in (shapes or {}).items()}

    def require_fit(self, model: ModelProto) -> None:
        """Refuse shapes that do not fit the declared inputs.

        Raises:
            UsageError: There is no such input, or rank or a static dimension differ, or a symbol gets two sizes.
        """
        check_shapes(model, self._shapes)

    def search(self, model: ModelView, target: Target) -> list[RewriteLocation]:  # noqa: ARG002 - whatever the release
        """The inputs that are not frozen yet."""
        return [
            RewriteLocation(
                view=model.main,
                position=None,
                message=f"input '{value.name}' is fixed to {list(self._shapes[value.name])}: it takes no other shape",
            )
            for value in model.proto.graph.input
            if value.name in self._shapes and dims_of(value) != self._shapes[value.name]
        ]

    def rewrite(self, model: ModelView, locations: Sequence[RewriteLocation]) -> ModelProto:  # noqa: ARG002
        """The model with static inputs."""
        result = ModelProto()
        result.CopyFrom(model.proto)
        _freeze(result.graph, self._shapes)
        for _ in range(_ROUNDS):
            folded = _folded(result)
            if folded is None:
                break
            result = folded
        _state_output_sizes(result)
        return result


def check_shapes(proto: ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse shapes that do not fit the declared inputs.

    Raises:
        UsageError: There is no such input, or rank or a static dimension differ, or a symbol gets two sizes.
    """
    inputs = {value.name: value for value in proto.graph.input}
    symbols: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            listed = ", ".join(f"'{each}'" for each in inputs)
            raise UsageError(f"the model has no input '{name}'", hint=f"its inputs are: {listed}")
        declared = dims_of(inputs[name])
        if declared is not None and len(declared) != len(shape):
            raise UsageError(
                f"the shape {list(shape)} does not fit input '{name}', which is declared as {list(declared or ())}",
                hint="give a size for every dimension",
            )
        for dim, size in zip(declared or (None,) * len(shape), shape, strict=True):
            wanted = symbols.setdefault(dim, size) if isinstance(dim, str) else dim
            if size < 1 or (wanted is not None and wanted != size):
                raise UsageError(
                    f"the shape {list(shape)} does not fit input '{name}', which is declared as {list(declared or ())}",
                    hint="only dynamic dimensions can be fixed, and a symbol has one size",
                )


def _freeze(graph: GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    symbols: dict[str, int] = {}
    for value in graph.input:
        if value.name in shapes:
            declared = dims_of(value) or (None,) * len(shapes[value.name])
            symbols |= {
                dim: size for dim, size in zip(declared, shapes[value.name], strict=True) if isinstance(dim, str)
            }
            tensor = value.type.tensor_type
            del tensor.shape.dim[:]
            tensor.shape.dim.extend(helper.make_tensor_type_proto(1, shapes[value.name]).tensor_type.shape.dim)
    for inner in all_graphs(graph):
        for value in (*inner.input, *inner.output, *inner.value_info):
            _replace(value.type, symbols)


def _replace(kind: TypeProto, symbols: Mapping[str, int]) -> None:
    if kind.HasField("tensor_type"):
        for dim in kind.tensor_type.shape.dim:
            if dim.dim_param in symbols:
                dim.dim_value = symbols[dim.dim_param]


def _folded(proto: ModelProto) -> ModelProto | None:
    """The model with constants in place of shape arithmetic whose results are used; None if there is none."""
    from mnncompat.graph.editor import ModelEditor

    model = view_model(Model(proto=proto))
    editor = ModelEditor(proto)
    changed = False
    for view in model.graphs():
        if view.is_function:
            continue
        for index, values in _frontier(view):
            node = view.nodes[index]
            graph = editor.graph(view.address)
            graph.remove(index)
            for name, value in values.items():
                tensor = array_tensor(np.ascontiguousarray(value).reshape(value.shape))
                label = graph.unique(f"{node.name or name}_constant")
                graph.insert_proto(index, helper.make_node("Constant", [], [name], name=label, value=tensor))
            changed = True
    return editor.export() if changed else None


def _frontier(view: GraphView) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """Nodes whose results are constant, and are read by a node whose results are not."""
    for index, node in enumerate(view.nodes):
        names = [name for name in node.output if name]
        if not is_onnx(node) or node.op_type == "Constant" or not all(is_constant(view, name) for name in names):
            continue
        readers = [view.nodes[reader] for name in names for reader in view.consumers.get(name, ())]
        inner = readers and all(is_constant(view, out) for reader in readers for out in reader.output if out)
        if inner and not any(view.is_external_use(name) for name in names):
            continue
        values = {name: constant_value(view, name) for name in names}
        known = {name: value for name, value in values.items() if value is not None and value.size <= _MOST_ELEMENTS}
        if len(known) == len(values):
            yield index, known


def _state_output_sizes(proto: ModelProto) -> None:
    """Write the sizes of outputs that inference now knows."""
    view = view_model(Model(proto=proto))
    inferred = view.inferred
    known = {} if inferred is None else {value.name: value for value in inferred.graph.output}
    for value in proto.graph.output:
        dims = value.type.tensor_type.shape.dim
        found = known[value.name].type.tensor_type.shape.dim if value.name in known else []
        for dim, other in zip(dims, found, strict=False):
            if not dim.HasField("dim_value") and other.HasField("dim_value"):
                dim.dim_value = other.dim_value
