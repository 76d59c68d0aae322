"""Convolutions of every form are computed by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def convolutions(draw: st.DrawFn, op: str) -> tuple[ModelProto, Arrays]:
    """One to three axes, weight and bias constant or at run time, as output of the graph."""
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes))

    kernel, sizes, group = each(1, 3), each(5, 6), draw(st.sampled_from([1, 1, 2, 3]))
    before, behind = (group * draw(st.integers(1, 3)) for _ in range(2))
    attributes: dict[str, Any] = {
        "group": draw(st.sampled_from([None, group])) if group == 1 else group,
        "strides": draw(st.sampled_from([None, each(1, 2)])),
        "dilations": draw(st.sampled_from([None, each(1, 2)])),
        "kernel_shape": draw(st.sampled_from([None, kernel])),
    }
    mode = draw(st.sampled_from(["pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode == "pads":
        attributes["pads"] = [draw(st.integers(0, min(size - 1, 1))) for size in kernel * 2]
    elif mode != "none":
        assume(not mode.startswith("SAME") or not attributes["dilations"])  # ONNX Runtime refuses both
        attributes["auto_pad"] = mode
    shape = [behind, before // group, *kernel] if op == "Conv" else [before, behind // group, *kernel]
    if op == "ConvTranspose" and mode == "none" and draw(st.booleans()):
        strides, dilations = (attributes[name] or [1] * axes for name in ("strides", "dilations"))
        attributes["output_shape"] = [
            stride * (size - 1) + (extent - 1) * dilation + 1 - draw(st.integers(0, 1))
            for stride, size, extent, dilation in zip(strides, sizes, kernel, dilations, strict=True)
        ]
    operands = {"x": random([draw(st.integers(1, 2)), before, *sizes]), "w": random(shape, seed=1)}
    if draw(st.booleans()):
        operands["b"] = random([behind], seed=2)
    constants = [name for name in ("w", "b") if name in operands and draw(st.booleans())]
    return one_node(op, operands, opset=draw(st.sampled_from([11, 13, 22])), constants=constants, **attributes)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(convolutions("Conv"))
def test_convolution_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(convolutions("ConvTranspose"))
def test_transposed_convolution_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    op=st.sampled_from(["Conv", "ConvTranspose"]),
    kernel=st.integers(1, 3),
    stride=st.integers(2, 4),
    sizes=st.lists(st.integers(3, 9), min_size=2, max_size=2),
    mode=st.sampled_from(["SAME_UPPER", "SAME_LOWER"]),
)
def test_same_padding_of_windows_with_gaps_is_right(
    prober: Prober, op: str, kernel: int, stride: int, sizes: list[int], mode: str
) -> None:
    weight = random([2, 2, kernel, kernel], seed=1)
    attributes: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "auto_pad": mode}
    model, feeds = one_node(op, {"x": random([1, 2, *sizes]), "w": weight}, opset=17, constants=["w"], **attributes)
    assert_remedied(model, prober, feeds)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_deformable_convolution_is_right(prober: Prober, data: st.DataObject) -> None:
    kernel, strides, dilations = (data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2)) for _ in range(3))
    pads = data.draw(st.lists(st.integers(0, 1), min_size=4, max_size=4))
    group, offsets, batch = (data.draw(st.integers(1, 2)) for _ in range(3))
    counts = [
        (size + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis] + 1
        for axis, size in enumerate((5, 6))
    ]
    elements = offsets * kernel[0] * kernel[1]
    operands = {
        "x": random([batch, 4, 5, 6]),
        "w": random([4, 4 // group, *kernel], seed=1),
        "offset": random([batch, elements * 2, *counts], seed=2),
        "b": data.draw(st.sampled_from([None, random([4], seed=3)])),
        "mask": data.draw(st.sampled_from([None, random([batch, elements, *counts], seed=4)])),
    }
    model, feeds = one_node(
        "DeformConv",
        operands,
        opset=data.draw(st.sampled_from([19, 22])),
        constants=["w"] if data.draw(st.booleans()) else [],
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=group,
        offset_group=offsets,
    )
    assert_remedied(model, prober, feeds)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_merged_into_a_3d_convolution_is_right(prober: Prober, data: st.DataObject) -> None:
    op = data.draw(st.sampled_from(["Conv", "ConvTranspose"]))
    kernel, strides = (data.draw(st.lists(st.integers(1, 2), min_size=3, max_size=3)) for _ in range(2))
    channels, opset = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([10, 13, 22]))
    operands = {
        "x": random([1, 2, 3, 4, 4]),
        "w": random([channels, 2, *kernel] if op == "Conv" else [2, channels, *kernel], seed=1),
        "b": data.draw(st.sampled_from([None, random([channels], seed=2)])),
    }
    constants = [name for name in ("w", "b") if operands[name] is not None]
    model, feeds = one_node(op, operands, opset=opset, constants=constants, kernel_shape=kernel, strides=strides)
    model.graph.initializer.append(numpy_helper.from_array(np.abs(random([channels], seed=3)) + 0.5, "s"))
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(bound, np.float32), name) for name, bound in (("low", 0.0), ("high", 6.0))
    )
    for each in data.draw(st.lists(st.sampled_from(["BatchNormalization", "Relu", "Clip"]), max_size=3)):
        _append(model, each, opset)
    if data.draw(st.booleans()):
        model.graph.output.append(helper.make_tensor_value_info(model.graph.node[0].output[0], 1, None))
    assert_remedied(model, prober, feeds)


def _append(model: ModelProto, op: str, opset: int) -> None:
    """Put an operator between the last node and the output."""
    name = f"before{len(model.graph.node)}"
    (output,) = model.graph.node[-1].output
    model.graph.node[-1].output[0] = name
    operands = {"BatchNormalization": ["s", "s", "s", "s"], "Clip": ["low", "high"] if opset > 10 else []}.get(op, [])
    bounds: dict[str, Any] = {"min": 0.0, "max": 6.0} if op == "Clip" and opset <= 10 else {}
    model.graph.node.append(helper.make_node(op, [name, *operands], [output], **bounds))
