"""Configurations of the attention operators of ONNX Runtime's own domain."""

from __future__ import annotations

from typing import Any

import numpy as np
from foreign_models import FLOAT, HALF, Array, Configuration, Draw, maybe, normal, pick


def _chance(rng: np.random.Generator, share: float = 0.5) -> bool:
    return bool(rng.random() < share)


def _mask(rng: np.random.Generator, batch: int, steps: int, total: int, *forms: str) -> Array | None:
    """A mask of integers; at least one key is left to each query."""
    form = str(rng.choice([*forms, "none"]))
    mask: Array
    if form == "keys":
        mask = rng.integers(0, 2, (batch, total))
        mask[:, 0] = 1
    elif form == "pairs":
        mask = rng.integers(0, 2, (batch, steps, total))
        mask[:, :, 0] = 1
    elif form == "ends":
        mask = rng.integers(1, total + 1, batch)
    elif form == "ends and starts":
        ends = rng.integers(1, total + 1, batch)
        mask = np.concatenate([ends, rng.integers(0, ends)])
    elif form == "one column":
        mask = np.ones((batch, 1))
    else:
        return None
    return np.asarray(mask, np.int32)


def attention(rng: np.random.Generator) -> Configuration:
    batch, steps, heads, size = (int(rng.integers(1, most)) for most in (4, 6, 4, 5))
    past = int(rng.integers(0, 4)) if _chance(rng) else None
    total, hidden = steps + (past or 0), heads * size
    values = hidden if past is not None or _chance(rng) else heads * int(rng.integers(1, 6))
    wide = int(rng.integers(2, 9))
    columns = 2 * hidden + values
    bias_shape = (batch if _chance(rng) else 1, heads if _chance(rng) else 1, steps, total)
    causal = int(rng.integers(0, 2))
    forms = ("keys", "pairs", "ends") if total > 1 else ("ends",)
    if not causal:
        forms = (*forms, "ends and starts")  # elsewhere a query may see no key: scores less 10000 round to 0.001
    mask = _mask(rng, batch, steps, total, *forms)
    return Configuration(
        "Attention",
        {
            "x": normal(rng, batch, steps, wide),
            "w": normal(rng, wide, columns),
            "b": maybe(rng, normal(rng, columns)),
            "mask": mask,
            "past": None if past is None else normal(rng, 2, batch, heads, past, size),
            "bias": maybe(rng, normal(rng, *bias_shape)) if past is None else None,
        },
        {
            "num_heads": heads,
            "unidirectional": causal,
            "qkv_hidden_sizes": [hidden, hidden, values] if values != hidden or _chance(rng) else None,
            "scale": float(rng.uniform(0.1, 1)) if _chance(rng) else None,
            "mask_filter_value": -5.0 if _chance(rng, 0.3) else None,
        },
        outputs=(FLOAT, FLOAT) if past is not None else (FLOAT,),
        constants=("w", "b"),
        dynamic={("x", 0): "batch", ("past", 1): "batch"} if mask is None and _chance(rng) else {},
    )


def multi_head(rng: np.random.Generator) -> Configuration:
    batch, steps, heads, size = (int(rng.integers(1, most)) for most in (4, 6, 4, 5))
    is_split, past = _chance(rng, 0.25), int(rng.integers(0, 4)) if _chance(rng) else None
    causal = int(rng.integers(0, 2))
    keys = steps if causal or past is not None else int(rng.integers(1, 6))
    past = None if is_split else past
    room = int(rng.integers(0, 3)) if past is not None and _chance(rng, 0.3) else None  # the cache is a buffer
    total = keys + (past or 0)
    width = size if past is not None or is_split or _chance(rng) else int(rng.integers(1, 6))
    hidden = heads * size
    shape = (batch, heads, keys) if is_split else (batch, keys)
    has_outputs = not is_split and (past is not None or _chance(rng, 0.3))
    forms = ("keys", "pairs", "ends") if total > 1 else ("ends",)
    bias_shape = (batch if _chance(rng) else 1, heads if _chance(rng) else 1, steps, total)
    dynamic = {}
    held = None if past is None else past + (0 if room is None else keys + room)
    if _chance(rng, 0.3):
        dynamic = {(name, 0): "batch" for name in ("q", "k", "v", "past_k", "past_v", "mask")}
        dynamic |= {("q", 1): "steps"} | (
            {("k", 1): "steps", ("v", 1): "steps"} if keys == steps and not is_split else {}
        )
    return Configuration(
        "MultiHeadAttention",
        {
            "q": normal(rng, batch, steps, hidden),
            "k": normal(rng, *shape, size if is_split else hidden),
            "v": normal(rng, *shape, width if is_split else heads * width),
            "b": None if is_split else maybe(rng, normal(rng, 2 * hidden + heads * width)),
            "mask": _mask(rng, batch, steps, total, *forms),
            "bias": maybe(rng, normal(rng, *bias_shape)),
            "past_k": None if held is None else normal(rng, batch, heads, held, size),
            "past_v": None if held is None else normal(rng, batch, heads, held, width),
            "place": None if room is None else np.asarray([past], np.int32),
        },
        {
            "num_heads": heads,
            "unidirectional": causal,
            "scale": float(rng.uniform(0.1, 1)) if _chance(rng) else None,
            "mask_filter_value": -7.0 if _chance(rng, 0.3) else None,
        },
        outputs=(FLOAT, FLOAT, FLOAT) if has_outputs else (FLOAT,),
        constants=("b",),
        dynamic=dynamic,
    )


def decoder_masked(rng: np.random.Generator) -> Configuration:
    batch, past, heads, size = (int(rng.integers(1, most)) for most in (4, 6, 4, 5))
    hidden, cross = heads * size, _chance(rng, 0.3)
    place = int(rng.integers(0, past))
    operands: dict[str, Any] = {"q": normal(rng, batch, 1, hidden)}
    if cross:
        operands |= {name: normal(rng, batch, heads, past, size) for name in "kv"}
        total = past
    else:
        operands |= {name: normal(rng, batch, 1, hidden) for name in "kv"}
        total = place + 1  # the cache is a buffer: ONNX Runtime's CPU has no other one
    operands["mask"] = _mask(rng, batch, 1, total, *(("keys",) if total > 1 else ()))
    operands["bias"] = None if cross else maybe(rng, normal(rng, 1, heads, 1, total))
    if not cross:
        operands |= {f"past_{name}": normal(rng, batch, heads, past, size) for name in "kv"}
        operands["length"] = np.asarray([place], np.int32)
        operands |= {"beams": None, "cache": None}
        operands["b"] = maybe(rng, normal(rng, 3 * hidden))
    return Configuration(
        "DecoderMaskedMultiHeadAttention",
        operands,
        {
            "num_heads": heads,
            "past_present_share_buffer": None if cross else 1,
            "scale": float(rng.uniform(0.1, 1)) if _chance(rng) else None,
        },
        outputs=(FLOAT,) if cross else (FLOAT, FLOAT, FLOAT),
    )


def group_query(rng: np.random.Generator) -> Configuration:
    element = np.float16 if _chance(rng, 0.15) else np.float32
    batch, steps, keys, group = (int(rng.integers(1, most)) for most in (4, 5, 3, 4))
    size, heads = int(rng.choice([16, 32])), keys * group
    packed, has_past = _chance(rng), _chance(rng, 0.7)
    past = int(rng.integers(0 if steps > 1 else 1, 5)) if has_past else 0
    batch = 1 if past and steps > 1 else batch  # ONNX Runtime's CPU takes several new steps of one sequence only
    room = int(rng.integers(0, 3)) if has_past and _chance(rng, 0.3) else 0  # the buffer is longer than the sequences
    totals = np.full(batch, past + steps)
    if batch > 1 and _chance(rng) and past:
        totals[1:] = rng.integers(steps, past + steps + 1, batch - 1)
    elif batch > 1 and _chance(rng) and not past:
        totals[1:] = rng.integers(1, steps + 1, batch - 1)  # the prompts are padded on their right
    valid = np.ones((batch, steps), bool) if past else np.arange(steps) < totals[:, None]
    rotary = _chance(rng)
    half = size // 2 if size == 16 or _chance(rng) else size // 4
    length = past + steps + 3
    columns = (heads + 2 * keys) * size if packed else heads * size

    def numbers(*shape: int) -> Array:
        return normal(rng, *shape, dtype=element)

    cached = [numbers(batch, keys, past + (steps + room if room else 0), size) if has_past else None for _ in range(2)]
    place = (totals[:, None] - steps + np.arange(steps)) if past else np.tile(np.arange(steps), (batch, 1))
    inputs: dict[str, Any] = {
        "q": numbers(batch, steps, columns),
        "k": None if packed else numbers(batch, steps, keys * size),
        "v": None if packed else numbers(batch, steps, keys * size),
        "past_k": cached[0],
        "past_v": cached[1],
        "lengths": np.asarray(totals - 1, np.int32),
        "total": np.asarray([past + steps], np.int32),
        "cosine": np.cos(rng.uniform(0, 6, (length, half))).astype(element) if rotary else None,
        "sine": np.sin(rng.uniform(0, 6, (length, half))).astype(element) if rotary else None,
        "positions": np.asarray(np.maximum(place, 0), np.int64) if rotary and _chance(rng, 0.3) else None,
        "bias": maybe(rng, numbers(1, heads if _chance(rng) else 1, steps, past + steps), 0.3),
        "sink": maybe(rng, numbers(heads), 0.2),
    }
    no_window = _chance(rng, 0.7)
    fixed = ("cosine", "sine", *(("lengths", "total") if _chance(rng, 0.3) else ()))
    shown = int(rng.integers(1, 3)) if _chance(rng, 0.3) else None
    kind = HALF if element == np.float16 else FLOAT
    dynamic: dict[tuple[str, int], str] = {}
    if _chance(rng, 0.4):
        dynamic = {(name, 0): "batch" for name in ("q", "k", "v", "past_k", "past_v", "lengths")}
        dynamic |= {(name, 1): "steps" for name in "qkv"} | {("past_k", 2): "past", ("past_v", 2): "past"}
    return Configuration(
        "GroupQueryAttention",
        inputs,
        {
            "num_heads": heads,
            "kv_num_heads": keys,
            "do_rotary": 1 if rotary else None,
            "rotary_interleaved": int(rng.integers(0, 2)),
            "causal": 0 if no_window and _chance(rng, 0.2) else None,
            "local_window_size": None if no_window else int(rng.integers(1, 4)),
            "softcap": 2.0 if _chance(rng, 0.2) else None,
            "smooth_softmax": 1 if _chance(rng, 0.2) and inputs["sink"] is None else None,
            "scale": float(rng.uniform(0.05, 0.5)) if _chance(rng, 0.3) else None,
            "qk_output": shown,
        },
        outputs=(kind, kind, kind, kind) if shown else (kind, kind, kind),
        constants=fixed,
        dynamic=dynamic,
        valid=valid,
    )


def rotary(rng: np.random.Generator) -> Configuration:
    element = np.float16 if _chance(rng, 0.2) else np.float32
    batch, steps, heads = (int(rng.integers(1, most)) for most in (4, 6, 4))
    size = int(rng.choice([4, 8]))
    partial, is_split = _chance(rng), _chance(rng)
    half = size // 4 if partial else size // 2
    rows = steps + 4
    shape = (batch, heads, steps, size) if is_split else (batch, steps, heads * size)
    one = _chance(rng)
    positions = rng.integers(0, 4, 1) if one else rng.integers(0, rows, (batch, steps))
    angles = rng.uniform(0, 6, (rows, half))
    dynamic = {}
    if _chance(rng, 0.4):
        dynamic = {("x", 0): "batch", ("x", 2 if is_split else 1): "steps"}
        dynamic |= {} if one else {("positions", 0): "batch", ("positions", 1): "steps"}
    return Configuration(
        "RotaryEmbedding",
        {
            "x": normal(rng, *shape, dtype=element),
            "positions": np.asarray(positions, np.int64),
            "cosine": np.cos(angles).astype(element),
            "sine": np.sin(angles).astype(element),
        },
        {
            "interleaved": int(rng.integers(0, 2)),
            "num_heads": heads if partial else None,
            "rotary_embedding_dim": 2 * half if partial else None,
            "is_packed_batching": 1 if _chance(rng, 0.3) else None,
        },
        outputs=(HALF if element == np.float16 else FLOAT,),
        constants=("cosine", "sine"),
        dynamic=dynamic,
    )


def quantized_attention(rng: np.random.Generator) -> Configuration:
    batch, steps, heads, size = (int(rng.integers(1, most)) for most in (4, 6, 4, 5))
    past = int(rng.integers(0, 4)) if _chance(rng) else None
    total, hidden, wide = steps + (past or 0), heads * size, int(rng.integers(2, 9))
    kind = pick(rng, np.uint8, np.int8)
    by_column = _chance(rng)
    count = (3 * hidden,) if by_column else ()
    return Configuration(
        "QAttention",
        {
            "x": np.asarray(rng.integers(0, 256, (batch, steps, wide)), np.uint8),
            "w": rng.integers(-100, 100, (wide, 3 * hidden)).astype(kind),
            "b": normal(rng, 3 * hidden),
            "x_scale": np.asarray(0.02, np.float32),
            "w_scale": np.asarray(rng.uniform(0.01, 0.02, count), np.float32),
            "mask": _mask(rng, batch, steps, total, *(("keys", "ends") if total > 1 else ("ends",))),
            "x_zero": maybe(rng, np.asarray(113, np.uint8)),
            "w_zero": maybe(rng, np.asarray(rng.integers(0, 9, count)).astype(kind)),
            "past": None if past is None else normal(rng, 2, batch, heads, past, size),
        },
        {"num_heads": heads, "unidirectional": int(rng.integers(0, 2))},
        outputs=(FLOAT, FLOAT) if past is not None else (FLOAT,),
        constants=("w", "b", "x_scale", "w_scale", "x_zero", "w_zero"),
    )


DRAWS: dict[str, Draw] = {
    "Attention": attention,
    "DecoderMaskedMultiHeadAttention": decoder_masked,
    "GroupQueryAttention": group_query,
    "MultiHeadAttention": multi_head,
    "QAttention": quantized_attention,
    "RotaryEmbedding": rotary,
}
"""By op type."""
