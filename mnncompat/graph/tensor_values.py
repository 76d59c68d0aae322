"""Stored tensors to arrays and back, for the types that NumPy has itself.

`onnx.helper` and `onnx.numpy_helper` do the same for all types. They take as long to import as everything else that a
check of a small model does, so they are asked only where a model holds another type.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import onnx
from onnx import TensorProto, ValueInfoProto

from mnncompat.graph.numpy_on_demand import np
from mnncompat.graph.payloads import bytes_of, inlined, is_like_raw, payload_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NATIVE: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.UINT16: "uint16",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
}
_DATA_TYPES = {name: data_type for data_type, name in _NATIVE.items()}
# Where elements stand that are not raw, if they are stored as they are.
_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.INT32: "int32_data",
    TensorProto.INT64: "int64_data",
    TensorProto.DOUBLE: "double_data",
}
_UNDECODED = "surrogateescape"
_IS_LITTLE = sys.byteorder == "little"


def tensor_array(tensor: TensorProto) -> NDArray[Any]:
    """The values of a tensor, as `onnx.numpy_helper.to_array` has them; those of a held one are mapped, not read.

    Bytes of strings that are no UTF-8 are lone surrogates, as in names of files; `array_tensor` turns them back.

    Raises:
        ModelError: A held tensor's file is gone or has changed.
        ValueError: The data do not fit the dimensions.
        TypeError: It has no type.
    """
    dtype = _NATIVE.get(tensor.data_type)
    payload = payload_of(tensor)
    if payload is not None:
        if dtype is None or not _IS_LITTLE or not is_like_raw(tensor, payload):
            return tensor_array(inlined(tensor))
        return np.frombuffer(bytes_of(payload), dtype).reshape(tensor.dims)
    if dtype is not None and _IS_LITTLE and not tensor.HasField("segment") and not _is_external(tensor):
        if tensor.HasField("raw_data"):
            return np.frombuffer(tensor.raw_data, dtype).reshape(tensor.dims)
        if tensor.data_type in _FIELDS:
            return np.array(getattr(tensor, _FIELDS[tensor.data_type]), dtype).reshape(tensor.dims)
    if tensor.data_type == TensorProto.STRING and not _is_external(tensor):
        return np.array([each.decode("utf-8", _UNDECODED) for each in tensor.string_data], object).reshape(tensor.dims)
    found: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    return found


def array_tensor(array: NDArray[Any], name: str = "") -> TensorProto:
    """A tensor that holds an array, as `onnx.numpy_helper.from_array` makes it."""
    if array.dtype.kind in "OU":
        texts = [each if isinstance(each, bytes) else str(each).encode("utf-8", _UNDECODED) for each in array.flat]
        return TensorProto(name=name, data_type=TensorProto.STRING, dims=array.shape, string_data=texts)
    data_type = _DATA_TYPES.get(array.dtype.name) if array.dtype.isnative else None
    if data_type is None or not _IS_LITTLE:
        made: TensorProto = onnx.numpy_helper.from_array(array, name)
        return made
    tensor = TensorProto(data_type=data_type, dims=array.shape, raw_data=array.tobytes())
    if name:
        tensor.name = name
    return tensor


def element_dtype(data_type: int) -> np.dtype[Any]:
    """NumPy's type of the elements of a tensor (`onnx.TensorProto.DataType`).

    Raises:
        KeyError: There is none.
    """
    return np.dtype(_NATIVE[data_type] if data_type in _NATIVE else onnx.helper.tensor_dtype_to_np_dtype(data_type))


def data_type_of(dtype: np.dtype[Any]) -> int:
    """The `onnx.TensorProto.DataType` of elements of NumPy's type; texts and objects are strings.

    Raises:
        ValueError: There is none.
    """
    known = _DATA_TYPES.get(dtype.name) if dtype.isnative else None
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype)) if known is None else known


def tensor_value_info(name: str, data_type: int, shape: Sequence[int | str | None]) -> ValueInfoProto:
    """What a graph states about a tensor, as `onnx.helper.make_tensor_value_info` makes it."""
    info = ValueInfoProto(name=name)
    tensor = info.type.tensor_type
    tensor.elem_type = data_type
    tensor.shape.SetInParent()
    for size in shape:
        dim = tensor.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
    return info


def _is_external(tensor: TensorProto) -> bool:
    return tensor.HasField("data_location") and tensor.data_location == TensorProto.EXTERNAL
