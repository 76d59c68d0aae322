"""How ONNX stores the elements of a tensor: in which field, and how many bytes they take."""

from __future__ import annotations

from math import prod

from onnx import TensorProto

STORED_IN: dict[int, tuple[str, int]] = {
    TensorProto.FLOAT: ("float_data", 32),
    TensorProto.UINT8: ("int32_data", 8),
    TensorProto.INT8: ("int32_data", 8),
    TensorProto.UINT16: ("int32_data", 16),
    TensorProto.INT16: ("int32_data", 16),
    TensorProto.INT32: ("int32_data", 32),
    TensorProto.INT64: ("int64_data", 64),
    TensorProto.STRING: ("string_data", 0),
    TensorProto.BOOL: ("int32_data", 8),
    TensorProto.FLOAT16: ("int32_data", 16),
    TensorProto.DOUBLE: ("double_data", 64),
    TensorProto.UINT32: ("uint64_data", 32),
    TensorProto.UINT64: ("uint64_data", 64),
    TensorProto.COMPLEX64: ("float_data", 64),
    TensorProto.COMPLEX128: ("double_data", 128),
    TensorProto.BFLOAT16: ("int32_data", 16),
}
"""Element type -> the field that holds elements which are no raw bytes, and bits of an element in raw bytes."""
STORED_IN |= dict.fromkeys(range(17, 21), ("int32_data", 8))  # float8, four kinds
STORED_IN |= dict.fromkeys((21, 22, 23), ("int32_data", 4))  # uint4, int4, float4
STORED_IN |= {24: ("int32_data", 8), 25: ("int32_data", 2), 26: ("int32_data", 2)}  # float8e8m0, uint2, int2


def raw_bytes(tensor: TensorProto) -> int | None:
    """Bytes that the elements of a tensor take, packed as ONNX packs them; None of a type that has no raw bytes."""
    _, bits = STORED_IN.get(tensor.data_type, ("", 0))
    return -(-max(0, prod(tensor.dims)) * bits // 8) if bits else None
