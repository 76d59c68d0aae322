"""Normalisations, Softmax and the like, losses and products are computed correctly by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from remedied import assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EPSILON = 0.1


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@QUICK
@given(
    op=st.sampled_from(["Softmax", "LogSoftmax", "Hardmax"]),
    opset=st.sampled_from([9, 11, 13]),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    axis=st.none() | st.integers(-2, 1),
)
def test_softmax_is_right(prober: Prober, op: str, opset: int, shape: list[int], axis: int | None) -> None:
    axis = None if axis is None else axis % len(shape) if opset == 9 else axis
    model, feeds = one_node(op, {"x": random(shape)}, opset=opset, axis=axis)
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    axis=st.integers(-2, 1),
    single=st.booleans(),
    constant=st.booleans(),
)
def test_rms_normalization_is_right(
    prober: Prober, shape: list[int], axis: int, *, single: bool, constant: bool
) -> None:
    scale = random([1] if single else shape[axis:], seed=1)
    model, feeds = one_node(
        "RMSNormalization",
        {"x": random(shape), "scale": scale},
        opset=23,
        constants=["scale"] if constant else [],
        axis=axis,
        epsilon=EPSILON,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    groups=st.integers(1, 3),
    each=st.integers(1, 3),
    rest=st.lists(st.integers(1, 4), min_size=1, max_size=2),
    constant=st.booleans(),
)
def test_group_normalization_is_right(
    prober: Prober, groups: int, each: int, rest: list[int], *, constant: bool
) -> None:
    channels = groups * each
    model, feeds = one_node(
        "GroupNormalization",
        {"x": random([2, channels, *rest]), "scale": random([channels], seed=1), "bias": random([channels], seed=2)},
        opset=21,
        constants=["scale", "bias"] if constant else [],
        num_groups=groups,
        epsilon=EPSILON,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    constants=st.sets(st.sampled_from(["scale", "bias", "mean", "var"])),
    training=st.booleans(),
)
def test_batch_normalization_is_right(prober: Prober, shape: list[int], constants: set[str], *, training: bool) -> None:
    arrays = {name: random([shape[1]], seed=seed) for seed, name in enumerate(["scale", "bias", "mean"], start=1)}
    model, feeds = one_node(
        "BatchNormalization",
        {"x": random(shape), **arrays, "var": np.abs(random([shape[1]], seed=4)) + np.float32(0.5)},
        opset=15,
        constants=sorted(constants),
        outputs=[TensorProto.FLOAT] * (3 if training else 1),
        epsilon=EPSILON,
        training_mode=1 if training else None,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    constants=st.sets(st.sampled_from(["scale", "bias", "mean", "var"])),
    opset=st.sampled_from([7, 8]),
)
def test_batch_normalization_per_position_is_right(
    prober: Prober, shape: list[int], constants: set[str], opset: int
) -> None:
    arrays = {name: random(shape[1:], seed=seed) for seed, name in enumerate(["scale", "bias", "mean"], start=1)}
    model, feeds = one_node(
        "BatchNormalization",
        {"x": random(shape), **arrays, "var": np.abs(random(shape[1:], seed=4)) + np.float32(0.5)},
        opset=opset,
        constants=sorted(constants),
        epsilon=EPSILON,
        spatial=0,
    )
    applied = assert_remedied(model, prober, feeds)
    assert ("batch-norm-arithmetic" in applied) == (len(constants) <= len(arrays) or any(d > 1 for d in shape[2:]))


@QUICK
@given(
    op=st.sampled_from(["BatchNormalization", "InstanceNormalization"]),
    shape=st.lists(st.integers(2, 5), min_size=1, max_size=3),
    spread=st.sampled_from([1e-3, 1e-2, 0.1]),
    opset=st.sampled_from([9, 14, 15]),
    epsilon=st.sampled_from([None, 1e-6, 1e-3]),
)
def test_norm_of_what_varies_little_is_right(
    prober: Prober, op: str, shape: list[int], spread: float, opset: int, epsilon: float | None
) -> None:
    arrays = {"x": random([2, 3, *shape]) * np.float32(spread), "scale": random([3], seed=1), "b": random([3], seed=2)}
    if op == "BatchNormalization":
        arrays |= {"mean": np.zeros(3, np.float32), "var": np.full(3, spread**2, np.float32)}
    model, feeds = one_node(op, arrays, opset=opset, constants=list(arrays)[1:], epsilon=epsilon)
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    op=st.sampled_from(["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"]),
    positions=st.lists(st.integers(1, 3), max_size=2),
    reduction=st.sampled_from([None, "none", "sum"]),
    ignored=st.sampled_from([None, 0, -1]),
    weighted=st.booleans(),
    second=st.booleans(),
)
def test_loss_is_right(
    prober: Prober,
    op: str,
    positions: list[int],
    reduction: str | None,
    ignored: int | None,
    *,
    weighted: bool,
    second: bool,
) -> None:
    classes = 4
    labels = np.arange(3 * int(np.prod(positions)), dtype=np.int64).reshape([3, *positions]) % classes
    weights = {"weights": np.abs(random([classes], seed=1)) + np.float32(0.5)} if weighted else {}
    outputs = [TensorProto.FLOAT] * (2 if second and op.startswith("Softmax") else 1)
    model, feeds = one_node(
        op,
        {"x": random([3, classes, *positions]), "labels": labels, **weights},
        opset=13,
        outputs=outputs,
        reduction=reduction,
        ignore_index=ignored,
    )
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    axis=st.integers(-1, 0),
    p=st.sampled_from([1, 2]),
    zero=st.booleans(),
)
def test_lp_normalization_is_right(prober: Prober, shape: list[int], axis: int, p: int, *, zero: bool) -> None:
    x = np.zeros(shape, np.float32) if zero else random(shape)
    model, feeds = one_node("LpNormalization", {"x": x}, opset=22, axis=axis, p=p)
    assert_remedied(model, prober, feeds)
