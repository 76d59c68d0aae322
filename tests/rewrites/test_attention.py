"""Attention and related operators are computed correctly by MNN after `fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from remedied import Arrays, assert_remedied, one_node, random

from mnncompat.probe.prober import Prober

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLOAT, ABSENT = TensorProto.FLOAT, 0
BATCH, SIZE, WIDTH = 2, 4, 3


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


def packed(value: np.ndarray) -> np.ndarray:
    """Heads of (batch, heads, length, size) side by side: (batch, length, heads * size)."""
    return np.ascontiguousarray(value.transpose(0, 2, 1, 3).reshape(value.shape[0], value.shape[2], -1))


@st.composite
def attentions(draw: st.DrawFn) -> tuple[ModelProto, Arrays]:
    """Attention with any mix of shared heads, masks, past keys, soft caps and outputs; no row is masked as a whole."""
    heads, group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    queries, keys = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    past = draw(st.sampled_from([0, 3]))
    q = random([BATCH, heads * group, queries, SIZE])
    k, v = random([BATCH, heads, keys, SIZE], seed=1), random([BATCH, heads, keys, WIDTH], seed=2)
    stated: dict[str, float | int | None] = {
        "is_causal": draw(st.sampled_from([None, 1])),
        "scale": draw(st.sampled_from([None, 0.3])),
        "softcap": draw(st.sampled_from([None, 2.0])),
        "qk_matmul_output_mode": draw(st.sampled_from([None, 1, 3])),
    }
    if draw(st.booleans()):
        stated |= {"q_num_heads": heads * group, "kv_num_heads": heads}
        q, k, v = packed(q), packed(k), packed(v)
    form = draw(st.sampled_from(["none", "float", "bool"]))
    rank = draw(st.sampled_from([2, 4]))
    mask = random([BATCH, 1, queries, past + keys][-rank:], seed=3)
    kept = mask > 0
    kept[..., 0] = True
    operands = {
        "q": q,
        "k": k,
        "v": v,
        "mask": None if form == "none" else mask if form == "float" else kept,
        "past_key": random([BATCH, heads, past, SIZE], seed=4) if past else None,
        "past_value": random([BATCH, heads, past, WIDTH], seed=5) if past else None,
    }
    constants = ["mask"] if form != "none" and draw(st.booleans()) else []
    states = [FLOAT, FLOAT] if past else [ABSENT, ABSENT]
    return one_node(
        "Attention",
        operands,
        opset=draw(st.sampled_from([23, 24])),
        constants=constants,
        outputs=[FLOAT, *states, draw(st.sampled_from([FLOAT, ABSENT]))],
        **stated,
    )


@QUICK
@given(attentions())
def test_attention_is_right(prober: Prober, drawn: tuple[ModelProto, Arrays]) -> None:
    assert assert_remedied(drawn[0], prober, drawn[1]) >= {"attention-as-matmul"}


@pytest.mark.parametrize("computed", [True, False])
def test_rows_without_keys_are_zero(prober: Prober, *, computed: bool) -> None:
    mask = np.asarray([[True, False], [False, False]])
    operands = {name: random([1, 1, 2, SIZE], seed=seed) for seed, name in enumerate("qkv")}
    model, feeds = one_node("Attention", operands | {"mask": mask}, opset=23, constants=[] if computed else ["mask"])
    assert_remedied(model, prober, feeds)


@QUICK
@given(
    rule=st.sampled_from(["linear", "gated", "delta", "gated_delta"]),
    heads=st.integers(1, 2),
    group=st.integers(1, 2),
    length=st.integers(1, 4),
    past=st.booleans(),
    wide=st.booleans(),
)
def test_linear_attention_is_right(
    prober: Prober, rule: str, heads: int, group: int, length: int, *, past: bool, wide: bool
) -> None:
    decay = -np.abs(random([BATCH, length, heads * SIZE if wide else heads], seed=4))
    rate = np.abs(random([BATCH, length, 1 if wide else heads], seed=5)) / 4
    operands = {
        "q": random([BATCH, length, heads * group * SIZE]),
        "k": random([BATCH, length, heads * SIZE], seed=1) / SIZE,
        "v": random([BATCH, length, heads * WIDTH], seed=2),
        "past": random([BATCH, heads, SIZE, WIDTH], seed=3) if past else None,
        "decay": decay if "gated" in rule else None,
        "rate": rate if "delta" in rule else None,
    }
    model, feeds = one_node(
        "LinearAttention",
        operands,
        opset=27,
        outputs=[FLOAT, FLOAT],
        q_num_heads=heads * group,
        kv_num_heads=heads,
        update_rule=rule,
    )
    assert assert_remedied(model, prober, feeds) >= {"linear-attention-unrolled"}


@QUICK
@given(
    interleaved=st.sampled_from([None, 1]),
    part=st.sampled_from([0, 4]),
    together=st.booleans(),
    positions=st.sampled_from(["none", "constant", "computed"]),
)
def test_rotary_embedding_is_right(
    prober: Prober, interleaved: int | None, part: int, *, together: bool, positions: str
) -> None:
    heads, length, size = 2, 3, 6
    rows = [5] if positions != "none" else [BATCH, length]
    value = random([BATCH, heads, length, size])
    model, feeds = one_node(
        "RotaryEmbedding",
        {
            "x": packed(value) if together else value,
            "cos": random([*rows, (part or size) // 2], seed=1),
            "sin": random([*rows, (part or size) // 2], seed=2),
            "at": np.asarray([[0, 4, 2], [1, 1, 3]], np.int64) if positions != "none" else None,
        },
        opset=23,
        constants=["cos", "sin", *(["at"] if positions == "constant" else [])],
        interleaved=interleaved,
        rotary_embedding_dim=part or None,
        num_heads=heads if together else None,
    )
    assert assert_remedied(model, prober, feeds) >= {"rotary-as-products"}
