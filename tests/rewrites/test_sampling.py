"""Resizes, sampled grids and regions of every form are computed by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, parser
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

COORDINATES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@st.composite
def resizes(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Constant scales or sizes of one or two axes (ONNX Runtime resizes no others), all modes."""
    opset = draw(st.sampled_from([11, 13, 18, 19]))
    sizes = draw(st.lists(st.integers(2, 6), min_size=2, max_size=2))
    mode = draw(st.sampled_from(["nearest", "linear", "cubic", None]))
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": draw(st.sampled_from(COORDINATES[: 5 if opset >= 19 else 4])),
    }
    if mode in ("nearest", None):
        attributes["nearest_mode"] = draw(st.sampled_from([None, "floor", "ceil", "round_prefer_ceil"]))
    elif mode == "cubic":
        attributes["cubic_coeff_a"] = draw(st.sampled_from([None, -0.5]))
        attributes["exclude_outside"] = draw(st.sampled_from([None, 1]))
    # Multiples of 1/8: positions are exact in float32, and rounding decides nothing.
    scales = draw(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.5]), min_size=2, max_size=2))
    assume(attributes["coordinate_transformation_mode"] != "align_corners" or mode in ("linear", "cubic"))
    given_sizes = draw(st.booleans())
    if given_sizes:
        scales = [max(1.0, size * scale // 1) for size, scale in zip(sizes, scales, strict=True)]
    axes = None
    if opset >= 18 and draw(st.booleans()):
        axes, scales = [3, 2], scales[::-1]
    whole = scales if axes else [1, 2, *scales] if given_sizes else [1, 1, *scales]
    amounts = np.asarray(whole, np.int64 if given_sizes else np.float32)
    empty = np.zeros(0, np.float32) if opset < 13 else None
    operands = {
        "x": random([1, 2, *sizes]),
        "roi": empty,
        "scales": empty if given_sizes else amounts,
        "sizes": amounts if given_sizes else None,
    }
    constants = [name for name in ("roi", "scales", "sizes") if operands[name] is not None]
    return one_node("Resize", operands, opset=opset, constants=constants, axes=axes, **attributes)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(resizes())
def test_resize_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_sampled_grid_is_right(prober: Prober, data: st.DataObject) -> None:
    axes, batch = data.draw(st.sampled_from([2, 2, 3])), data.draw(st.integers(1, 2))
    recent = axes == 3 or data.draw(st.booleans())
    modes = ["linear", "nearest", *(["cubic"] if axes == 2 else [])] if recent else ["bilinear", "nearest", "bicubic"]
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=axes, max_size=axes))
    grid = random([batch, *[3] * axes, axes], seed=1)
    if data.draw(st.booleans()):
        grid = np.round(grid * 4) / np.float32(4)
    model, feeds = one_node(
        "GridSample",
        {"x": random([batch, 3, *sizes]), "grid": grid},
        opset=data.draw(st.sampled_from([20, 22])) if recent else 16,
        constants=["grid"] if data.draw(st.booleans()) else [],
        mode=data.draw(st.sampled_from(modes)),
        padding_mode=data.draw(st.sampled_from([None, "border", "reflection"])),
        align_corners=data.draw(st.sampled_from([None, 0, 1])),
    )
    assert_remedied(model, prober, feeds)


@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 2, 4)])
def test_affine_grid_is_right(prober: Prober, corners: int, size: tuple[int, ...]) -> None:
    axes = len(size) - 2
    operands = {"theta": random([2, axes, axes + 1]), "size": np.asarray(size, np.int64)}
    model, feeds = one_node("AffineGrid", operands, opset=20, constants=["size"], align_corners=corners)
    assert_remedied(model, prober, feeds)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_pooled_region_is_right(prober: Prober, data: st.DataObject) -> None:
    corners = np.random.default_rng(data.draw(st.integers(0, 99))).uniform(-3, 12, (4, 2, 2))
    opset = data.draw(st.sampled_from([11, 16, 22]))
    regions = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    model, feeds = one_node(
        "RoiAlign",
        {"x": random([2, 3, 7, 8]), "rois": regions, "batches": np.array([0, 1, 1, 0], np.int64)},
        constants=["rois", "batches"],
        opset=opset,
        mode="max" if opset >= 16 else data.draw(st.sampled_from([None, "max"])),
        sampling_ratio=data.draw(st.integers(1, 3)),
        output_height=data.draw(st.integers(1, 3)),
        output_width=data.draw(st.integers(1, 3)),
        spatial_scale=data.draw(st.sampled_from([None, 0.5])),
        coordinate_transformation_mode=data.draw(st.sampled_from([None, "output_half_pixel"])) if opset >= 16 else None,
    )
    assert_remedied(model, prober, feeds)


@st.composite
def dynamic_resizes(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Height and width known only at run time; scales constant, or sizes computed from another input."""
    opset = draw(st.sampled_from([13, 18, 19]))
    mode = draw(st.sampled_from(["cubic", "cubic", "nearest", "linear"]))
    attributes: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": draw(st.sampled_from(COORDINATES[: 5 if opset >= 19 else 4])),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = draw(st.sampled_from(["floor", "ceil"]))
        assume(attributes["coordinate_transformation_mode"] != "align_corners")
    elif mode == "cubic":
        attributes["cubic_coeff_a"] = draw(st.sampled_from([None, -0.5]))
        attributes["exclude_outside"] = draw(st.sampled_from([None, 1]))
    stated = ", ".join(
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
        for name, value in attributes.items()
        if value is not None
    )
    before = draw(st.lists(st.integers(1, 7), min_size=2, max_size=2))
    feeds = {"x": random([1, 2, *before])}
    if draw(st.booleans()):
        scales = draw(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0]), min_size=2, max_size=2))
        assume(all(size * scale >= 1 for size, scale in zip(before, scales, strict=True)))
        constants, inputs, nodes = f"float[4] s = {{1.0, 1.0, {scales[0]}, {scales[1]}}}", "", ""
        operands = "x, , s"
    else:
        after = draw(st.lists(st.integers(1, 12), min_size=2, max_size=2))
        if mode == "nearest":  # quotients of other sizes are not exact, and rounding them decides
            after = [size * draw(st.sampled_from([1, 2, 4])) for size in before]
        feeds["like"] = random([1, 1, *after])
        constants, inputs = "int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4}", ", float[1,1,P,Q] like"
        nodes = "a = Shape(x) b = Shape(like) c = Slice(a, zero, two) d = Slice(b, two, four) n = Concat<axis=0>(c, d)"
        operands = "x, , , n"
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]> agraph (float[1,2,H,W] x{inputs}) => (float[1,2,G,K] y)
        <{constants}> {{ {nodes} y = Resize<{stated}>({operands}) }}"""
    return parser.parse_model(text), feeds


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dynamic_resizes())
def test_resize_of_dynamic_size_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])
