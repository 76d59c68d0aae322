"""Windows are counted as ONNX's shape inference counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.window_geometry import Windows, missing_elements, mnn_pool_windows, same_padding, windows_of


def pool(sizes: Sequence[int | str], **attributes: Any) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, *sizes])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("MaxPool", ["x"], ["y"], **attributes)], "pool", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=8)


def facts_of(model: onnx.ModelProto) -> NodeFacts:
    (view,) = view_model(from_proto(model)).graphs()
    return NodeFacts(view, 0, {"auto_pad": "NOTSET", "ceil_mode": 0})


def windows(model: onnx.ModelProto) -> list[Windows] | None:
    facts = facts_of(model)
    shape = facts.shape("x")
    assert shape is not None
    return windows_of(facts, facts.attribute("kernel_shape"), shape[2:])


@given(st.data())
def test_counts_are_those_of_shape_inference(data: st.DataObject) -> None:
    def each(low: int, high: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=2, max_size=2))

    kernel = each(1, 3)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": each(1, 3), "dilations": each(1, 2)}
    mode = data.draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode == "NOTSET":
        attributes["pads"] = [data.draw(st.integers(0, size - 1)) for size in kernel * 2]
        attributes["ceil_mode"] = data.draw(st.integers(0, 1))
    else:
        attributes["auto_pad"] = mode
    model = pool(each(5, 9), **attributes)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0].type.tensor_type.shape
    found = windows(model)
    assert found is not None
    assert [each.count for each in found] == [dim.dim_value for dim in inferred.dim[2:]]


def test_same_padding_of_a_dynamic_size_needs_a_stride_of_one() -> None:
    found = windows(pool(["n", "n"], kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_LOWER"))
    assert found is not None
    assert [(each.begin, each.end, each.count) for each in found] == [(1, 0, None)] * 2
    assert windows(pool(["n", "n"], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")) is None


def test_positions_and_overhang() -> None:
    row = Windows(size=6, kernel=2, stride=3, dilation=2, begin=1, end=0, rounds_up=True)
    assert (row.extent, row.count, row.overhang) == (3, 3, 2)
    np.testing.assert_array_equal(row.positions(), [[0, 2], [3, 5], [6, 8]])
    with pytest.raises(ValueError, match="dynamic"):
        Windows(size=None, kernel=2, stride=1, dilation=1, begin=0, end=0).positions()


@pytest.mark.parametrize(
    ("size", "extent", "stride", "missing", "upper"),
    [
        pytest.param(7, 3, 2, 2, (1, 1), id="even"),
        pytest.param(8, 3, 2, 1, (0, 1), id="odd"),
        pytest.param(7, 1, 2, 0, (0, 0), id="none"),
        pytest.param(6, 1, 3, -2, (0, 0), id="left over"),
        pytest.param(None, 4, 1, 3, (1, 2), id="dynamic, stride 1"),
        pytest.param("n", 4, 2, None, None, id="dynamic"),
    ],
)
def test_same_padding(
    size: int | str | None, extent: int, stride: int, missing: int | None, upper: tuple[int, int] | None
) -> None:
    assert missing_elements(size, extent, stride) == missing
    assert same_padding(size, extent, stride, upper=True) == upper
    assert same_padding(size, extent, stride, upper=False) == (None if upper is None else upper[::-1])


def test_mnn_reads_a_pool_in_its_own_way() -> None:
    lower = pool([8, "n"], kernel_shape=[3, 3], strides=[2, 2], dilations=[2, 2], auto_pad="SAME_LOWER")
    first, second = mnn_pool_windows(facts_of(lower))
    assert first is not None
    assert second is None
    assert (first.begin, first.end, first.dilation) == (0, 1, 1)
    upwards = pool([2], kernel_shape=[3], strides=[3], pads=[1, 1], ceil_mode=1)
    (rounded,) = mnn_pool_windows(facts_of(upwards))
    onnx_reading = windows(upwards)
    assert rounded is not None
    assert onnx_reading is not None
    assert (rounded.count_rounded_down, rounded.count_rounded_up, onnx_reading[0].count) == (1, 2, 1)
