"""Arrays of stored tensors are those of onnx's own helpers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnncompat.graph.protos import attribute_value
from mnncompat.graph.tensor_values import array_tensor, element_dtype, tensor_array, tensor_value_info

TYPES = sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING})


@pytest.mark.parametrize("data_type", TYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_raw_and_typed_tensors(data_type: int, shape: tuple[int, ...]) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(data_type)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    raw = numpy_helper.from_array(array, "t")
    assert array_tensor(array, "t").SerializeToString() == raw.SerializeToString()
    assert element_dtype(data_type) == dtype
    typed = helper.make_tensor("t", data_type, shape, array.reshape(-1).tolist())
    for tensor in (raw, typed):
        expected = numpy_helper.to_array(tensor)
        found = tensor_array(tensor)
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def test_data_that_do_not_fit_are_an_error() -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[2], raw_data=bytes(12))
    with pytest.raises(ValueError, match="reshape"):
        tensor_array(tensor)


@pytest.mark.parametrize("shape", [(), (1, "N", None), (0,)])
def test_value_infos(shape: tuple[int | str | None, ...]) -> None:
    assert tensor_value_info("x", 1, shape) == helper.make_tensor_value_info("x", 1, shape)


@pytest.mark.parametrize(
    "value", [1, 1.5, "s", [1, 2], [0.5], ["a"], numpy_helper.from_array(np.zeros(2)), onnx.GraphProto()]
)
def test_attributes(value: object) -> None:
    item = helper.make_attribute("a", value)
    assert attribute_value(item) == helper.get_attribute_value(item)
