"""What is in an ONNX model: an overview as people know it from viewers."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING

import onnx

from mnncompat.graph.file_bytes import source_bytes
from mnncompat.graph.protos import qualified_op
from mnncompat.graph.tensor_values import element_dtype
from mnncompat.graph.validation import all_graphs
from mnncompat.results.file_info import OnnxFileInfo, TensorInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mnncompat.graph.model_file import Model

_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def onnx_info(model: Model) -> OnnxFileInfo:
    """Count what a model has. Nothing is run, and weights are not read.

    Args:
        model: A model that was read from a file.
    """
    assert model.path is not None  # noqa: S101 - the command reads files only
    proto = model.skeleton
    nodes = Counter(qualified_op(node) for node in _nodes(proto))
    own = model.path.stat().st_size
    stored = [*proto.graph.initializer, *(each.values for each in proto.graph.sparse_initializer)]
    names = {each.name for each in proto.graph.initializer}
    parameters: Counter[str] = Counter()
    for tensor in stored:
        parameters[_dtype(tensor.data_type)] += _bytes(tensor)
    return OnnxFileInfo(
        path=model.path,
        bytes=own,
        external_bytes=source_bytes(model) - own,
        ir_version=proto.ir_version,
        producer=" ".join(filter(None, (proto.producer_name, proto.producer_version))),
        opsets={each.domain or "ai.onnx": each.version for each in proto.opset_import},
        ops=dict(sorted(nodes.items(), key=lambda item: (-item[1], item[0]))),
        nodes=nodes.total(),
        functions=len(proto.functions),
        parameters=sum(prod(tensor.dims) for tensor in stored),
        parameter_bytes=dict(sorted(parameters.items(), key=lambda item: (-item[1], item[0]))),
        inputs=tuple(tensor_info(each) for each in proto.graph.input if each.name not in names),
        outputs=tuple(map(tensor_info, proto.graph.output)),
    )


def tensor_info(value: onnx.ValueInfoProto) -> TensorInfo:
    """What a model declares about an input or an output."""
    kind = value.type.WhichOneof("value") or ""
    tensor = value.type.tensor_type
    if kind != "tensor_type":
        return TensorInfo(name=value.name, shape=None, dtype=kind.removesuffix("_type") or "unknown")
    shape = tuple(_size(each) for each in tensor.shape.dim) if tensor.HasField("shape") else None
    return TensorInfo(name=value.name, shape=shape, dtype=_dtype(tensor.elem_type))


def _size(dimension: onnx.TensorShapeProto.Dimension) -> int | str | None:
    return int(dimension.dim_value) if dimension.HasField("dim_value") else dimension.dim_param or None


def _dtype(element: int) -> str:
    """Numpy's name of a dtype, ONNX's where numpy has none."""
    try:
        name = onnx.TensorProto.DataType.Name(element)
    except ValueError:
        return f"data type {element}"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def _bytes(tensor: onnx.TensorProto) -> int:
    name = onnx.TensorProto.DataType.Name(tensor.data_type)
    try:
        bits = _BITS.get(name) or 8 * element_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError):
        bits = 0
    return -(-bits * prod(tensor.dims) // 8)


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in all_graphs(proto.graph):
        yield from graph.node
    for function in proto.functions:
        yield from function.node
