"""Operators that gather, scatter and compare by index are computed by MNN after `fix`."""

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
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

DTYPES = (np.float32, np.int32, np.int64, np.float16)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4)
ROOMY = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def constants(draw: st.DrawFn, *names: str) -> list[str]:
    return [name for name in names if draw(st.booleans())]


def positions(draw: st.DrawFn, shape: Sequence[int], size: int) -> NDArray[np.int64]:
    """Indices into an axis, negative ones among them."""
    seed = draw(st.integers(0, 99))
    return np.random.default_rng(seed).integers(-size, size, shape)


def tuples(draw: st.DrawFn, shape: Sequence[int], sizes: Sequence[int]) -> NDArray[np.int64]:
    return np.stack([positions(draw, shape, size) for size in sizes], axis=-1)


def kind(array: NDArray[Any]) -> int:
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


@st.composite
def gathers(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """GatherElements along any axis, GatherND of elements and slices, behind batches of any rank."""
    x = random(draw(SHAPES), draw(st.sampled_from(DTYPES)))
    if draw(st.booleans()):
        axis = draw(st.integers(-x.ndim, x.ndim - 1))
        shape = [draw(st.integers(1, size)) for size in x.shape]
        i = positions(draw, shape, x.shape[axis])
        return one_node(
            "GatherElements", {"x": x, "i": i}, opset=13, constants=constants(draw, "i"), outputs=[kind(x)], axis=axis
        )
    batches = draw(st.integers(0, x.ndim - 1))
    depth = draw(st.integers(1, x.ndim - batches))
    leading = [*x.shape[:batches], *draw(st.lists(st.integers(1, 3), max_size=2))]
    i = tuples(draw, leading, x.shape[batches : batches + depth])
    return one_node(
        "GatherND",
        {"x": x, "i": i},
        opset=draw(st.sampled_from([12, 13])),
        constants=constants(draw, "i"),
        outputs=[kind(x)],
        batch_dims=batches,
    )


@ROOMY
@given(gathers())
def test_gathering_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@st.composite
def scatters(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """ScatterElements and ScatterND with each reduction; duplicates where there is one."""
    x = random(draw(SHAPES), draw(st.sampled_from(DTYPES[:3])))
    opset = draw(st.sampled_from([16, 18]))
    options = [None, "none", "add", "mul", "add", "mul"] + (["max", "min"] * 2 if opset >= 18 else [])
    reduction = draw(st.sampled_from(options))
    attributes: dict[str, Any] = {"reduction": reduction}
    if draw(st.booleans()):
        op, axis = "ScatterElements", draw(st.integers(-x.ndim, x.ndim - 1))
        shape = [draw(st.sampled_from([size, draw(st.integers(1, size))])) for size in x.shape]
        i = positions(draw, shape, x.shape[axis])
        if reduction in (None, "none"):
            shape[axis] = 1
            i = i.take([0], axis)
        attributes["axis"] = draw(st.sampled_from([axis, None])) if axis == 0 else axis
    else:
        op, depth = "ScatterND", draw(st.integers(1, x.ndim))
        leading = draw(st.lists(st.integers(1, 3), max_size=2)) if reduction not in (None, "none") else [1]
        i = tuples(draw, leading, x.shape[:depth])
        shape = [*leading, *x.shape[depth:]]
    u = random(shape, x.dtype, seed=1)
    return one_node(
        op,
        {"x": x // 8 if x.dtype.kind == "i" else x, "i": i, "u": u // 8 if x.dtype.kind == "i" else u},
        opset=opset,
        constants=constants(draw, "i", "u"),
        outputs=[kind(x)],
        **attributes,
    )


@ROOMY
@given(scatters())
def test_scattering_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@st.composite
def one_hots(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """OneHot of any axis, with indices outside too."""
    depth = draw(st.integers(1, 5))
    shape = draw(st.lists(st.integers(1, 4), max_size=3))
    i = np.asarray(positions(draw, shape, 2 * depth + 2))
    axis = draw(st.sampled_from([None, *range(-i.ndim - 1, i.ndim + 1)]))
    counted = np.asarray(depth, draw(st.sampled_from([np.int64, np.float32])))
    values = np.array(draw(st.sampled_from([(0, 1), (-2, 3)])), draw(st.sampled_from([np.int64, np.float32])))
    if counted.dtype == np.float32:
        values = values.astype(np.int64)  # what ONNX Runtime has a kernel for
    return one_node(
        "OneHot",
        {"i": i, "depth": counted, "v": values},
        opset=draw(st.sampled_from([11, 13])),
        constants=["depth", *constants(draw, "i", "v")],
        outputs=[kind(values)],
        axis=axis,
    )


@settings(ROOMY, max_examples=12)
@given(one_hots())
def test_one_hot_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert_remedied(drawn[0], prober, drawn[1])


@settings(ROOMY, max_examples=12)
@given(data=st.data())
def test_unique_is_right(prober: Prober, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    dtype = data.draw(st.sampled_from([np.float32, np.int64]))
    x = np.round(random(shape, np.float32, seed=data.draw(st.integers(0, 99)))).astype(dtype)
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    count = data.draw(st.integers(1, 4))
    model, feeds = one_node(
        "Unique",
        {"x": x + np.asarray(0, dtype)},
        opset=13,
        outputs=[kind(x), TensorProto.INT64, TensorProto.INT64, TensorProto.INT64][:count],
        axis=axis,
        sorted=data.draw(st.sampled_from([None, 0, 1])),
    )
    assert_remedied(model, prober, feeds)


@settings(ROOMY, max_examples=10)
@given(data=st.data())
def test_comparison_is_right(prober: Prober, data: st.DataObject) -> None:
    op = data.draw(st.sampled_from(["Greater", "GreaterOrEqual", "Less", "LessOrEqual"]))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    a, b = (random([data.draw(st.sampled_from([1, size])) for size in shape], seed=seed) for seed in (0, 1))
    model, feeds = one_node(op, {"a": a, "b": b}, opset=16, outputs=[TensorProto.BOOL])
    assert_remedied(model, prober, feeds)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=2),
    skips=st.integers(0, 2),
    grams=st.sampled_from([(1, 1), (2, 2), (1, 2)]),
    mode=st.sampled_from(["TF", "IDF", "TFIDF"]),
    seed=st.integers(0, 99),
)
def test_n_grams_are_counted(
    prober: Prober, shape: list[int], skips: int, grams: tuple[int, int], mode: str, seed: int
) -> None:
    draws = np.random.default_rng(seed)
    model, feeds = one_node(
        "TfIdfVectorizer",
        {"x": draws.integers(0, 4, shape)},
        opset=9,
        min_gram_length=grams[0],
        max_gram_length=grams[1],
        max_skip_count=skips,
        mode=mode,
        ngram_counts=[0, 3],
        ngram_indexes=[int(each) for each in draws.permutation(6)],
        pool_int64s=[0, 1, 3, 0, 1, 2, 2, 3, 0],
        weights=[0.5, 2.0, 1.5, 3.0, 0.25, 1.0],
    )
    assert "n-grams-compared" in assert_remedied(model, prober, feeds)
