"""Several draws in one run of a model, so that large weights are read and packed once, not once for each draw.

Everything is computed draw by draw, as in the model itself, except the products with stored weights that treat each row
(MatMul, Gemm) or each item of a batch (Conv) alone: there the draws are put one behind the other and taken apart again.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from mnncompat.graph.protos import attribute, dims_of, is_onnx, onnx_opset
from mnncompat.graph.tensor_values import data_type_of
from mnncompat.graph.validation import subgraphs
from mnncompat.inference.shape_inference import infer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Arrays = Mapping[str, np.ndarray]
    Shapes = Mapping[str, tuple[int, ...]]

_MOST_BYTES = 128_000_000
"""Of the values that live at once, of all draws together."""
_ITEM = 8
_COUNTED = 18
"""Opset since which a Split into equal parts is told their number."""


class Joined(NamedTuple):
    """Several draws as one model.

    Attributes:
        model: Its values are called as in the model, with the number of the draw at their end.
        feeds: Its inputs.
        draws: How many draws.
    """

    model: ModelProto
    feeds: dict[str, np.ndarray]
    draws: int

    def apart(self, outputs: Arrays, names: Sequence[str]) -> list[dict[str, np.ndarray]]:
        """Values of each draw."""
        return [{name: outputs[_of(name, draw)] for name in names} for draw in range(self.draws)]


def joined(model: ModelProto, feeds: Sequence[Arrays]) -> Joined | None:
    """Write several draws as one model; None where that is not possible, or would save nothing.

    Args:
        model: The model, its nodes sorted. Nothing in it may be random.
        feeds: Input name -> array, for each of the draws.
    """
    if len(feeds) < 2 or any(_signature(each) != _signature(feeds[0]) for each in feeds):  # noqa: PLR2004 - several
        return None
    graph = model.graph
    is_plain = not model.functions and not graph.sparse_initializer
    if not is_plain or any(True for node in graph.node for _ in subgraphs(node)):
        return None
    shapes = _shapes(model, feeds[0])
    shared = _shared(model, feeds[0])
    products = [node for node in graph.node if _is_joinable(node, shapes, shared)]
    taken = _live_bytes(model, shapes, shared)
    if not products or taken is None or taken * len(feeds) > _MOST_BYTES:
        return None
    return Joined(_written(model, feeds, shared, {node.output[0] for node in products}), _numbered(feeds), len(feeds))


def _signature(feed: Arrays) -> dict[str, tuple[object, ...]]:
    return {name: (array.shape, array.dtype) for name, array in feed.items()}


def _of(name: str, draw: int) -> str:
    return f"{name}#{draw}"


def _numbered(feeds: Sequence[Arrays]) -> dict[str, np.ndarray]:
    return {_of(name, draw): array for draw, feed in enumerate(feeds) for name, array in feed.items()}


def _shapes(model: ModelProto, feed: Arrays) -> Shapes:
    """Shapes of values in a run on these inputs, as far as they are known."""
    graph = model.graph
    asked = ModelProto()
    asked.CopyFrom(model)
    kinds = {name: data_type_of(array.dtype) for name, array in feed.items()}
    del asked.graph.input[:]
    asked.graph.input.extend(helper.make_tensor_value_info(name, kinds[name], feed[name].shape) for name in feed)
    inferred = infer(asked)
    stored = {each.name: tuple(each.dims) for each in graph.initializer}
    found = {name: array.shape for name, array in feed.items()}
    for value in () if inferred is None else (*inferred.graph.value_info, *inferred.graph.output):
        sizes = dims_of(value)
        if sizes is not None and all(isinstance(size, int) for size in sizes):
            found[value.name] = tuple(int(size) for size in sizes if isinstance(size, int))
    return stored | found


def _shared(model: ModelProto, feed: Arrays) -> set[str]:
    """Values that are the same in each draw: stored ones, and what is computed from nothing else."""
    found = {each.name for each in model.graph.initializer} - feed.keys()
    for node in model.graph.node:
        if all(name in found for name in node.input if name):
            found.update(filter(None, node.output))
    return found


def _is_joinable(node: NodeProto, shapes: Shapes, shared: set[str]) -> bool:
    if not is_onnx(node) or len(node.output) != 1 or node.input[0] in shared or node.op_type not in _ALONE:
        return False
    ranks = [len(shapes[name]) if name in shapes else None for name in node.input]
    return all(name in shared for name in node.input[1:] if name) and _ALONE[node.op_type](node, ranks)


def _is_by_rows(_node: NodeProto, ranks: Sequence[int | None]) -> bool:
    return ranks[1] == _MATRIX and (ranks[0] or 0) >= _MATRIX


def _is_gemm_by_rows(node: NodeProto, ranks: Sequence[int | None]) -> bool:
    bias = ranks[2] if len(node.input) > 2 and node.input[2] else 0  # noqa: PLR2004 - C
    return not attribute(node, "transA", 0) and bias is not None and bias < _MATRIX


def _is_by_items(_node: NodeProto, _ranks: Sequence[int | None]) -> bool:
    return True


_MATRIX = 2
_ALONE = {"MatMul": _is_by_rows, "Gemm": _is_gemm_by_rows, "Conv": _is_by_items}
"""Products that treat the items of the first axis of their first operand alone, and when."""


def _live_bytes(model: ModelProto, shapes: Shapes, shared: set[str]) -> int | None:
    """Bytes of the values of one draw that live at once, at most; None where a size is not known."""
    nodes = model.graph.node
    last = {name: number for number, node in enumerate(nodes) for name in node.input}
    last |= {each.name: len(nodes) for each in model.graph.output}
    live: dict[str, int] = {}
    most = 0
    for number, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in shared:
                continue
            if name not in shapes:
                return None
            live[name] = _ITEM * prod(shapes[name])
        most = max(most, sum(live.values()))
        for name in [name for name in live if last.get(name, number) <= number]:
            del live[name]
    return most


def _written(model: ModelProto, feeds: Sequence[Arrays], shared: set[str], products: set[str]) -> ModelProto:
    graph = model.graph
    draws = range(len(feeds))
    found = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    found.graph.name = graph.name
    opset = onnx_opset(model.opset_import) or 0
    for node in graph.node:
        if all(name in shared for name in node.input if name):
            found.graph.node.append(node)
        elif node.output[0] in products:
            found.graph.node.extend(_together(node, len(feeds), opset))
        else:
            found.graph.node.extend(_copy(node, draw, shared) for draw in draws)
    found.graph.initializer.extend(each for each in graph.initializer if each.name not in feeds[0])
    for draw, feed in enumerate(feeds):
        for name, array in feed.items():
            kind = data_type_of(array.dtype)
            found.graph.input.append(helper.make_tensor_value_info(_of(name, draw), kind, array.shape))
        for each in graph.output:
            source, name = each.name, _of(each.name, draw)
            if source in shared:
                found.graph.node.append(helper.make_node("Identity", [source], [name]))
            found.graph.output.append(ValueInfoProto(name=name))
    return found


def _copy(node: NodeProto, draw: int, shared: set[str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = _of(node.name, draw) if node.name else ""
    copy.input[:] = [name if not name or name in shared else _of(name, draw) for name in node.input]
    copy.output[:] = [_of(name, draw) if name else "" for name in node.output]
    return copy


def _together(node: NodeProto, draws: int, opset: int) -> Iterator[NodeProto]:
    """One product for all draws."""
    before, after = f"{node.output[0]}#all before", f"{node.output[0]}#all"
    yield helper.make_node("Concat", [_of(node.input[0], draw) for draw in range(draws)], [before], axis=0)
    product = NodeProto()
    product.CopyFrom(node)
    product.input[0], product.output[0] = before, after
    yield product
    split = helper.make_node("Split", [after], [_of(node.output[0], draw) for draw in range(draws)], axis=0)
    if opset >= _COUNTED:
        split.attribute.append(helper.make_attribute("num_outputs", draws))
    yield split
