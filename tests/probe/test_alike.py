"""Which nodes have the same fingerprint, so that one is measured for all."""

from __future__ import annotations

import numpy as np
import pytest

from mnncompat.probe.node_fingerprint import node_fingerprint

DRAW = np.random.default_rng(0)
WEIGHT, OTHER = (DRAW.standard_normal((4, 6)).astype(np.float32) for _ in range(2))
IMAGE, ANOTHER = (DRAW.standard_normal((6, 5)).astype(np.float32) for _ in range(2))


def key(op: str, node: bytes = b"node", /, **values: np.ndarray) -> str:
    w, x, y = (values.get(role, default) for role, default in (("w", WEIGHT), ("x", IMAGE), ("y", OTHER)))
    return node_fingerprint(node, op, stored={"w": w}, fed={"x": x}, written={"y": y})


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    found = array.copy()
    found.flat[3] = value
    return found


def single(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_other_weights_and_other_inputs_make_no_difference() -> None:
    assert key("MatMul") == key("MatMul", w=OTHER) == key("MatMul", x=ANOTHER) == key("MatMul", y=WEIGHT)


def test_every_value_counts_where_one_may_decide() -> None:
    assert key("Round") == key("Round")
    assert len({key("Round"), key("Round", w=OTHER), key("Round", x=ANOTHER), key("Round", y=WEIGHT)}) == 4


def test_node_and_shape_count() -> None:
    names = {key("MatMul"), key("MatMul", b"other"), key("MatMul", x=IMAGE[:5])}
    assert len(names) == 3


@pytest.mark.parametrize(
    "strange",
    [
        np.abs(WEIGHT),
        np.zeros_like(WEIGHT),
        np.ones_like(WEIGHT),
        np.round(WEIGHT),
        WEIGHT * 1e5,
        WEIGHT * 1e-6,
        with_one(WEIGHT, np.nan),
        with_one(WEIGHT, np.inf),
        with_one(WEIGHT, -np.inf),
        WEIGHT.astype(np.float16),
        np.full_like(WEIGHT, np.nan),
    ],
)
def test_the_character_of_values_counts(strange: np.ndarray) -> None:
    for role in "wxy":
        assert key("MatMul", **{role: strange}) != key("MatMul", **{role: WEIGHT}), role


def test_whole_numbers_count_exactly() -> None:
    for role in "wxy":
        assert key("Gather", **{role: np.arange(20)}) != key("Gather", **{role: np.arange(20)[::-1]}), role


def test_small_constants_are_parameters_but_for_factors_and_summands() -> None:
    assert key("Clip", w=single(1.2345)) != key("Clip", w=single(1.2346))
    assert key("Mul", w=single(1.2345)) == key("Mul", w=single(1.2346)) == key("Mul", w=single(0.0123456))
    others = [key("Mul", w=single(value)) for value in (1.2345, -1.2345, 0.0, 0.5, 1.0, 2.0, 1.2345e9, np.inf)]
    assert len(set(others)) == len(others)
