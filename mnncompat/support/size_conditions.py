"""Searches for what makes a file of MNN larger than the model; `mnncompat.support.model_conditions` registers them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import NamedTuple

from onnx import TensorProto

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.graph.view import GraphView
from mnncompat.inference.constant_folding import is_constant
from mnncompat.support.model_scope import HazardLocation, Scope

INTEGER_BITS: dict[int, int] = {
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
}
"""Types of quantised weights, and what a number of each takes."""
_READ_AS_FLOATS = ("Dequantize", "Integer", "QLinear", "NBits", "QGemm", "QAttention", "DynamicQuantize")
"""What the names of operators contain that take integers for floats."""
_LEAST, _SHARE = 4096, 0.05
"""Bytes, and the share of all stored ones, from which on it is worth saying."""
_FLOAT_BYTES, _HALF_BYTES = 4, 2
_MOST_READERS = 4
"""With more readers than these, MNN keeps a weight apart, once (measured)."""
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_WEIGHT = 1
_MADE = ("ConstantOfShape", "Expand", "Range", "Tile")


def integer_weights(graphs: Iterable[GraphView]) -> Iterator[TensorProto]:
    """Stored integers that operators read for floats; the same one as often as it is read."""
    for view in graphs:
        kinds = {op for _, op in view.kinds if any(part in op for part in _READ_AS_FLOATS)}
        for node in view.nodes if kinds else ():
            if node.op_type not in kinds:
                continue
            for name in node.input:
                tensor = view.tensor(name)
                if tensor is not None and tensor.data_type in INTEGER_BITS:
                    yield tensor


class _Stored(NamedTuple):
    """A float tensor that is large enough to count, and its readers: graph, position of the node and of its operand."""

    view: GraphView
    name: str
    bytes: int
    readers: list[tuple[GraphView, int, int]]


def weight_kept_twice(scope: Scope) -> Iterator[HazardLocation]:
    """A weight of several layers, or of a layer and another operator: the file has it once for each layer."""
    least = _threshold(scope)
    for each in _stored_floats(scope, least):
        layers = [number for number in each.readers if _is_layer(*number)]
        copies = len(layers) + (len(layers) < len(each.readers))
        more = (copies - 1) * each.bytes
        if layers and len(each.readers) <= _MOST_READERS and more >= least:
            values = {"tensor": each.name, "size": _size(each.bytes), "copies": copies, "more": _size(more)}
            yield HazardLocation(view=each.view, values=values)


def weights_as_floats(scope: Scope) -> Iterator[HazardLocation]:
    """Half-precision and integer weights, which a file holds as float32 if the converter is not told otherwise."""
    halves = {id(t): t for view in scope.graphs for name, t in view.initializers.items() if _is_read_half(view, name)}
    integers = {id(tensor): tensor for tensor in integer_weights(scope.graphs)}
    found = [*halves.values(), *integers.values()]
    numbers = sum(prod(each.dims) for each in found)
    bits = sum(prod(each.dims) * INTEGER_BITS.get(each.data_type, 8 * _HALF_BYTES) for each in found)
    more = numbers * _FLOAT_BYTES - bits // 8
    if found and more >= _threshold(scope):
        kinds = " and ".join(sorted({TensorProto.DataType.Name(each.data_type).lower() for each in found}))
        values = {"kinds": kinds, "size": _size(bits // 8), "floats": _size(numbers * _FLOAT_BYTES)}
        yield HazardLocation(view=scope.model.main, values=values)


def constant_written_out(scope: Scope) -> Iterator[HazardLocation]:
    """A large constant that is made of a small one, which the converter computes and stores."""
    least = 0
    for view, index, node in scope.nodes(_MADE):
        least = least or _threshold(scope)
        result = node.output[0]
        if not is_onnx(node) or not is_constant(view, result) or not _is_kept(view, result):
            continue
        shape = view.shape(result) or ()
        if not shape or not all(isinstance(size, int) for size in shape):
            continue
        before = sum(prod(tensor.dims) for tensor in map(view.tensor, node.input) if tensor is not None)
        more = _FLOAT_BYTES * (prod(int(size) for size in shape if size) - before)
        if more >= least:
            yield HazardLocation(view=view, position=index, values={"op": node.op_type, "more": _size(more)})


def _is_kept(view: GraphView, name: str) -> bool:
    """Something that is computed at run time reads the constant, or it is an output."""
    if view.is_external_use(name):
        return True
    readers = [view.nodes[index] for index in view.consumers.get(name, [])]
    return any(not is_constant(view, node.output[0]) for node in readers)


def _is_read_half(view: GraphView, name: str) -> bool:
    is_half = view.initializers[name].data_type == TensorProto.FLOAT16
    return is_half and (name in view.consumers or name in view.captured)


def _threshold(scope: Scope) -> int:
    stored = (tensor for view in scope.graphs for tensor in view.initializers.values())
    total = sum(prod(each.dims) * (INTEGER_BITS.get(each.data_type, 32) // 4 or 1) // 8 for each in stored)
    return max(_LEAST, int(_SHARE * total))


def _stored_floats(scope: Scope, least: int) -> list[_Stored]:
    """Initializers of float32 that are read, of at least so many bytes."""
    found = {
        (id(view), name): _Stored(view, name, size, [])
        for view in scope.graphs
        for name, tensor in view.initializers.items()
        if tensor.data_type == TensorProto.FLOAT and (size := _FLOAT_BYTES * prod(tensor.dims)) >= least
    }
    names = {name for _, name in found}
    for view in scope.graphs if names else ():
        read = {index for name in names for index in view.consumers.get(name, ())}
        for index in sorted(read):
            for position, name in enumerate(view.operands[index]):
                home = found.get((id(_home(view, name)), name)) if name in names else None
                if home is not None:
                    home.readers.append((view, index, position))
    return [each for each in found.values() if len(each.readers) > 1]


def _home(view: GraphView, name: str) -> GraphView | None:
    """The graph whose initializer a name means, read from some graph."""
    here: GraphView | None = view
    while here is not None and name not in here.initializers:
        if here.producer(name) is not None or name in here.input_names:
            return None
        here = here.parent
    return here


def _is_layer(view: GraphView, index: int, position: int) -> bool:
    """A node that the file holds with its weights: a layer, or a Transpose in front of one."""
    node = view.nodes[index]
    if node.op_type == "Transpose" and attribute(node, "perm") is not None:
        return any(_is_layer(view, each, _WEIGHT) for each in view.consumers.get(node.output[0], []))
    return position == _WEIGHT and node.op_type in _LAYERS


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"  # noqa: PLR2004 - units
