"""Elementwise operators, comparisons and casts that MNN computes wrongly are computed right after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

ARITHMETIC = ("Add", "Sub", "Mul", "Max", "Min", "Mod", "Div")
COMPARISONS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
BITWISE = ("BitwiseAnd", "BitwiseOr", "BitwiseXor")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def shapes(draw: st.DrawFn, count: int = 2) -> list[list[int]]:
    """Shapes that are broadcast to each other."""
    full = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    cut = [full[draw(st.integers(0, len(full))) :] for _ in range(count - 1)]
    return [full, *([dim if draw(st.booleans()) else 1 for dim in each] for each in cut)]


@st.composite
def binary_operators(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Arithmetic, comparisons and bits of two operands, either of which may be constant."""
    op = draw(st.sampled_from(ARITHMETIC + COMPARISONS + BITWISE))
    bits = op in BITWISE
    dtype = draw(st.sampled_from([np.uint8, np.int8, np.int32] + ([np.int64] if bits else [np.float32])))
    one, other = (random(shape, dtype, seed) for seed, shape in enumerate(draw(shapes())))
    if op in ("Mod", "Div"):
        other[other == 0] = 3
    kind = TensorProto.BOOL if op in COMPARISONS else helper.np_dtype_to_tensor_dtype(one.dtype)
    fmod = 1 if op == "Mod" and dtype is np.float32 else None
    constants = draw(st.sampled_from([[], ["a"], ["b"]]))
    opset = draw(st.sampled_from([18, 20] if bits else [14, 16, 20]))
    return one_node(op, {"a": one, "b": other}, opset=opset, constants=constants, outputs=[kind], fmod=fmod)


@QUICK
@given(binary_operators())
def test_operator_of_two_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@QUICK
@given(
    op=st.sampled_from(["Max", "Min", "Sum", "Mean"]),
    count=st.integers(1, 4),
    data=st.data(),
    opset=st.sampled_from([8, 13]),
)
def test_any_number_of_operands_is_right(prober: Prober, op: str, count: int, data: st.DataObject, opset: int) -> None:
    drawn = data.draw(shapes(count))
    model, feeds = one_node(op, {f"x{seed}": random(shape, seed=seed) for seed, shape in enumerate(drawn)}, opset=opset)
    applied = assert_remedied(model, prober, feeds)
    assert count > 1 or applied == {"binary-chain"}


@QUICK
@given(
    op=st.sampled_from(["Add", "Sub", "Mul", "Max", "Min", "Sum"]),
    drawn=shapes(),
    opset=st.sampled_from([8, 13, 21]),
    constants=st.sampled_from([[], ["b"]]),
)
def test_relu_behind_an_output_is_right(
    prober: Prober, op: str, drawn: list[list[int]], opset: int, constants: list[str]
) -> None:
    operands = {name: random(shape, seed=seed) for seed, (name, shape) in enumerate(zip("ab", drawn, strict=True))}
    model, feeds = one_node(op, operands, opset=opset, constants=constants)
    model.graph.node.append(helper.make_node("Relu", ["out0"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    assert "relu-as-max" in assert_remedied(model, prober, feeds)


@QUICK
@given(
    op=st.sampled_from(["Abs", "Neg", "Exp", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Ceil"]),
    size=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    opset=st.sampled_from([7, 13, 21]),
    open_sizes=st.integers(0, 1),
)
def test_operator_behind_a_flattened_output_is_right(
    prober: Prober, op: str, size: list[int], opset: int, open_sizes: int
) -> None:
    model, feeds = one_node("Flatten", {"x": random(size)}, opset=opset)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[:open_sizes]:
        dim.dim_param = "N"
    model.graph.node.append(helper.make_node(op, ["out0"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    assert assert_remedied(model, prober, feeds) == {"copy-output-before-activation"}


@pytest.mark.parametrize(
    ("equation", "moved"),
    [
        ("ij,jk->ik", True),
        ("ij,j->i", True),
        ("bhij,jk->bhik", True),
        ("bij,bij->bi", True),
        ("...ij,jk->...ik", True),
        ("...i,i->...i", True),
        ("ij,jk->ki", False),
        ("ij,ij->ij", False),
        ("bij,bjk->bik", False),
        ("bhij,bhjk->bhik", False),
    ],
)
def test_operator_behind_an_einsum_that_is_an_output_is_right(prober: Prober, equation: str, *, moved: bool) -> None:
    sizes = dict(zip("bhijk", (2, 3, 4, 5, 6), strict=True))
    terms = equation.replace("...", "b").partition("->")[0].split(",")
    operands = {name: random([sizes[index] for index in term]) for name, term in zip("xw", terms, strict=True)}
    model, feeds = one_node("Einsum", operands, opset=13, equation=equation)
    model.graph.node.append(helper.make_node("Tanh", ["out0"], ["y"]))
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    assert assert_remedied(model, prober, feeds) == (
        frozenset({"copy-output-before-activation"}) if moved else frozenset()
    )


UNARY: dict[str, dict[str, Any]] = {
    "Round": {"opset": 11},
    "Shrink": {"opset": 9, "lambd": 0.75, "bias": 0.25},
    "IsNaN": {"opset": 13, "outputs": [TensorProto.BOOL]},
    "IsInf": {"opset": 20, "outputs": [TensorProto.BOOL], "detect_negative": 0},
    "Cast": {"opset": 9, "outputs": [TensorProto.BOOL], "to": TensorProto.BOOL},
    "Swish": {"opset": 24, "alpha": 0.5},
    "Mish": {"opset": 22},
}


@pytest.mark.parametrize("op", UNARY)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_operator_of_one_is_right(prober: Prober, op: str, data: st.DataObject) -> None:
    (shape,) = data.draw(shapes(1))
    x = (np.round(random(shape) * 4) / 4).astype(data.draw(st.sampled_from([np.float32, np.float16])))
    if op in ("IsInf", "IsNaN"):
        x.flat[0] = data.draw(st.sampled_from([np.inf, -np.inf, np.nan]))
    same = [helper.np_dtype_to_tensor_dtype(x.dtype)]
    model, feeds = one_node(op, {"x": x}, **{"outputs": same, **UNARY[op]})
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    opset=st.sampled_from([7, 9, 11, 13]),
    kind=st.sampled_from([np.float32, np.float64, np.int32]),
    shape=shapes(1),
)
def test_cast_to_bool_is_right_in_every_opset(
    prober: Prober, opset: int, kind: type[np.generic], shape: list[list[int]]
) -> None:
    x = np.round(random(shape[0]) * 2).astype(kind) / np.asarray(2, kind)
    x.flat[0] = 0
    model, feeds = one_node("Cast", {"x": x.astype(kind)}, opset=opset, outputs=[TensorProto.BOOL], to=TensorProto.BOOL)
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    dtype=st.sampled_from([np.float32, np.int32, np.uint8, np.int8]),
    bounds=st.tuples(*[st.none() | st.integers(0, 100)] * 2),
    constant=st.booleans(),
)
def test_clip_with_any_bounds_is_right(
    prober: Prober, dtype: Any, bounds: tuple[int | None, int | None], *, constant: bool
) -> None:
    low, high = (None if bound is None else np.asarray(bound, dtype) for bound in bounds)
    arrays = {"x": random([2, 3], dtype), "low": low, "high": high}
    if high is None:
        del arrays["high"]
    stated = [name for name in arrays if name != "x" and arrays[name] is not None]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model, feeds = one_node("Clip", arrays, opset=13, constants=stated if constant else [], outputs=[kind])
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=shapes(1),
    spread=st.sampled_from([1, 30, 100, 1e4]),
    dtype=st.sampled_from([np.float32, np.float16]),
    opset=st.sampled_from([8, 13, 22]),
    squash=st.sampled_from(["", "Tanh", "Sigmoid", "Sqrt"]),
)
def test_softplus_of_any_number_is_right(
    prober: Prober, shape: list[list[int]], spread: float, dtype: Any, opset: int, squash: str
) -> None:
    x = (random(shape[0]) * spread).astype(dtype)
    kind = [helper.np_dtype_to_tensor_dtype(x.dtype)]
    model, feeds = one_node("Softplus", {"x": x}, opset=opset, outputs=kind)
    if squash:
        model.graph.node.append(helper.make_node(squash, ["out0"], ["y"]))
        model.graph.output[0].name = "y"
    applied = assert_remedied(model, prober, feeds)
    assert ("softplus-above-operand" in applied) == (squash not in ("Tanh", "Sigmoid"))
