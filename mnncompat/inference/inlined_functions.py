"""A model with its local functions in place, for questions about sizes and values; large weights are left out."""

from __future__ import annotations

from math import prod

from onnx import ModelProto, TensorProto

from mnncompat.errors import ModelError

_LARGEST = 1 << 16
"""Number of elements from which on a weight says nothing about sizes or the values of inputs."""


def without_functions(proto: ModelProto) -> ModelProto:
    """The model with the body of every local function in place of its calls.

    Args:
        proto: The model; it is not changed, and its large weights are not copied.

    Returns:
        The model itself if it has no functions, or if ONNX cannot put them in place. Else a model in which the data of
        large weights are missing, as if they were stored in a file that is not there.
    """
    if not proto.functions:
        return proto
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(_lean(proto), convert_version=True)
    except Exception:  # noqa: BLE001 - C++ errors have no common base; what calls a function is then not followed
        return proto


def written_out(proto: ModelProto) -> ModelProto:
    """A model with its functions written where they are called, in its own opset.

    Raises:
        ModelError: ONNX cannot do that: types of operands are not known where a function has another opset.
    """
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(proto, convert_version=True)
    except Exception as error:  # C++ errors have no common base
        told = " ".join(str(error).split())
        hint = "give its functions the opset of the model, or export it without functions"
        raise ModelError(f"ONNX cannot write the functions where they are called: {told}", hint=hint) from error


def _lean(proto: ModelProto) -> ModelProto:
    """A copy without the data of large weights."""
    copy = ModelProto(ir_version=proto.ir_version)
    copy.opset_import.extend(proto.opset_import)
    copy.functions.extend(proto.functions)
    graph = copy.graph
    graph.name = proto.graph.name
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    graph.sparse_initializer.extend(proto.graph.sparse_initializer)
    graph.initializer.extend(
        each if prod(each.dims) <= _LARGEST else _emptied(each) for each in proto.graph.initializer
    )
    return copy


def _emptied(tensor: TensorProto) -> TensorProto:
    return TensorProto(
        name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, data_location=TensorProto.EXTERNAL
    )
