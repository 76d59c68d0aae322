"""Configurations of quantised operators and of operators on arrays of ONNX Runtime's own domain."""

from __future__ import annotations

from typing import Any

import numpy as np
from foreign_models import FLOAT, HALF, Array, Configuration, Draw, maybe, normal, pick


def _chance(rng: np.random.Generator, share: float = 0.5) -> bool:
    return bool(rng.random() < share)


def _bytes(rng: np.random.Generator, kind: Any, *shape: int) -> Array:
    limits = np.iinfo(kind)
    return np.asarray(rng.integers(limits.min, limits.max + 1, shape)).astype(kind)


def lstm(rng: np.random.Generator) -> Configuration:
    steps, batch, wide, size = (int(rng.integers(1, most)) for most in (6, 4, 5, 5))
    kind, way = pick(rng, np.uint8, np.int8), pick(rng, "forward", "reverse", "bidirectional")
    count = 2 if way == "bidirectional" else 1
    scales = (count, 4 * size) if _chance(rng) else (count,)
    zeros = np.zeros(scales, kind) if kind == np.int8 else np.full(scales, 128, kind)
    lengths = np.full(batch, steps) if _chance(rng, 0.3) else None

    def scale() -> Array:
        return np.asarray(rng.uniform(0.002, 0.01, scales), np.float32)

    has_state = _chance(rng)
    return Configuration(
        "DynamicQuantizeLSTM",
        {
            "x": normal(rng, steps, batch, wide),
            "w": _bytes(rng, kind, count, wide, 4 * size),
            "r": _bytes(rng, kind, count, size, 4 * size),
            "b": maybe(rng, normal(rng, count, 8 * size)),
            "lengths": None if lengths is None else np.asarray(lengths, np.int32),
            "h": normal(rng, count, batch, size) if has_state else None,
            "c": normal(rng, count, batch, size) if has_state else None,
            "p": maybe(rng, normal(rng, count, 3 * size), 0.3),
            "w_scale": scale(),
            "w_zero": zeros,
            "r_scale": scale(),
            "r_zero": zeros,
        },
        {"hidden_size": size, "direction": way, "clip": 1.5 if _chance(rng, 0.2) else None},
        outputs=(FLOAT, FLOAT, FLOAT) if _chance(rng) else (FLOAT,),
        constants=("w", "r", "b", "lengths", "p", "w_scale", "w_zero", "r_scale", "r_zero"),
        dynamic=pick(rng, {}, {("x", 1): "batch"}, {("x", 0): "steps"}) if not has_state and lengths is None else {},
    )


def product_to_float(rng: np.random.Generator) -> Configuration:
    rows, inner, columns = (int(each) for each in rng.integers(1, 7, 3))
    kind, weight = pick(rng, (np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8))
    count = (columns,) if _chance(rng) else ()
    return Configuration(
        "MatMulIntegerToFloat",
        {
            "a": _bytes(rng, kind, rows, inner),
            "b": _bytes(rng, weight, inner, columns),
            "a_scale": np.asarray(0.02, np.float32),
            "b_scale": np.asarray(rng.uniform(0.01, 0.03, count), np.float32),
            "a_zero": maybe(rng, _bytes(rng, kind)),
            "b_zero": maybe(rng, _bytes(rng, weight, *count)),
            "bias": maybe(rng, normal(rng, columns)),
        },
        constants=("b", "a_scale", "b_scale", "a_zero", "b_zero", "bias"),
        dynamic={("a", 0): "n"} if _chance(rng) else {},
    )


def dynamic_product(rng: np.random.Generator) -> Configuration:
    rows, inner, columns = (int(each) for each in rng.integers(1, 7, 3))
    weight = pick(rng, np.uint8, np.int8)
    count = (columns,) if _chance(rng) else ()
    return Configuration(
        "DynamicQuantizeMatMul",
        {
            "a": normal(rng, rows, inner),
            "b": _bytes(rng, weight, inner, columns),
            "b_scale": np.asarray(rng.uniform(0.01, 0.03, count), np.float32),
            "b_zero": maybe(rng, _bytes(rng, weight, *count)),
            "bias": maybe(rng, normal(rng, columns)),
        },
        constants=("b", "b_scale", "b_zero", "bias"),
        dynamic={("a", 0): "n"} if _chance(rng) else {},
    )


def block_product(rng: np.random.Generator) -> Configuration:
    bits, size = pick(rng, 4, 4, 8, 2), pick(rng, 16, 32)
    inner, columns = int(rng.integers(1, 70)), int(rng.integers(1, 9))
    blocks = -(-inner // size)
    element = pick(rng, np.float32, np.float32, np.float16)
    shape = (int(rng.integers(1, 4)), inner) if _chance(rng) else (2, int(rng.integers(1, 4)), inner)
    packed = -(-blocks * bits // 8)
    zeros = pick(rng, None, _bytes(rng, np.uint8, columns, packed), normal(rng, columns, blocks, dtype=element))
    if bits != 4 and zeros is not None and zeros.dtype != np.uint8:
        zeros = None
    return Configuration(
        "MatMulNBits",
        {
            "a": normal(rng, *shape, dtype=element),
            "b": _bytes(rng, np.uint8, columns, blocks, size * bits // 8),
            "scales": np.asarray(rng.uniform(0.01, 0.1, (columns, blocks)), element),
            "zeros": zeros,
            "groups": None,
            "bias": maybe(rng, normal(rng, columns, dtype=element), 0.3),
        },
        {"K": inner, "N": columns, "bits": bits, "block_size": size},
        outputs=(HALF if element == np.float16 else FLOAT,),
        constants=("b", "scales", "zeros", "bias"),
        dynamic={("a", 0): "n"} if _chance(rng) else {},
    )


def block_table(rng: np.random.Generator) -> Configuration:
    bits, size = pick(rng, 4, 8), 16
    rows, columns = int(rng.integers(2, 9)), size * int(rng.integers(1, 4))
    blocks = columns // size
    element, kind = pick(rng, np.float32, np.float16), pick(rng, np.int32, np.int64)
    shape = [int(each) for each in rng.integers(1, 5, int(rng.integers(1, 3)))]
    return Configuration(
        "GatherBlockQuantized",
        {
            "table": _bytes(rng, np.uint8, rows, columns * bits // 8),
            "i": np.asarray(rng.integers(0, rows, shape)).astype(kind),
            "scales": np.asarray(rng.uniform(0.01, 0.1, (rows, blocks)), element),
            "zeros": maybe(rng, _bytes(rng, np.uint8, rows, -(-blocks * bits // 8))),
        },
        {"bits": bits, "block_size": size, "gather_axis": 0, "quantize_axis": 1},
        outputs=(HALF if element == np.float16 else FLOAT,),
        constants=("table", "scales", "zeros"),
        dynamic={("i", 0): "n"} if _chance(rng) else {},
    )


def inverse(rng: np.random.Generator) -> Configuration:
    count = int(rng.integers(1, 7))
    batch = [int(each) for each in rng.integers(1, 4, int(rng.integers(0, 3)))]
    value = normal(rng, *batch, count, count) + 3 * np.eye(count, dtype=np.float32)
    value = value[..., rng.permutation(count), :]
    return Configuration("Inverse", {"x": np.ascontiguousarray(value)})


def unfold(rng: np.random.Generator) -> Configuration:
    shape = [int(each) for each in rng.integers(1, 6, int(rng.integers(1, 4)))]
    axis = int(rng.integers(0, len(shape)))
    size = int(rng.integers(1, shape[axis] + 1))
    stated = axis - len(shape) if _chance(rng) else axis
    attributes = {"dim": stated, "size": size, "step": int(rng.integers(1, 4))}
    dynamic = {("x", 0): "n"} if axis and _chance(rng) else {}
    return Configuration("UnfoldTensor", {"x": normal(rng, *shape)}, attributes, dynamic=dynamic)


def crop(rng: np.random.Generator) -> Configuration:
    batch, channels, height, width = (int(rng.integers(1, most)) for most in (4, 4, 8, 8))
    count = int(rng.integers(1, 5))
    boxes = np.asarray(rng.uniform(-0.3, 1.3, (count, 4)), np.float32)
    if _chance(rng):
        boxes[0] = [0, 0, 1, 1]
    return Configuration(
        "CropAndResize",
        {
            "x": normal(rng, batch, channels, height, width),
            "boxes": boxes,
            "batch": np.asarray(rng.integers(0, batch, count), np.int32),
            "size": np.asarray(rng.integers(1, 6, 2), np.int32),
        },
        {"mode": pick(rng, "bilinear", "nearest"), "extrapolation_value": 0.5 if _chance(rng) else None},
        constants=("size",),
        dynamic={("x", 0): "n", ("boxes", 0): "boxes", ("batch", 0): "boxes"} if _chance(rng) else {},
    )


def trilu(rng: np.random.Generator) -> Configuration:
    shape = [int(each) for each in rng.integers(1, 6, int(rng.integers(2, 4)))]
    k = np.asarray(rng.integers(-3, 4), np.int64)
    attributes = {"upper": int(rng.integers(0, 2))}
    return Configuration("Trilu", {"x": normal(rng, *shape), "k": maybe(rng, k)}, attributes, constants=("k",))


def grid_sample(rng: np.random.Generator) -> Configuration:
    batch, channels, height, width = (int(rng.integers(1, most)) for most in (3, 3, 6, 6))
    grid = np.asarray(rng.uniform(-1.2, 1.2, (batch, 3, 4, 2)), np.float32)
    attributes = {
        "mode": pick(rng, "bilinear", "nearest", "bicubic"),
        "padding_mode": pick(rng, "zeros", "border", "reflection"),
        "align_corners": int(rng.integers(0, 2)),
    }
    return Configuration("GridSample", {"x": normal(rng, batch, channels, height, width), "grid": grid}, attributes)


DRAWS: dict[str, Draw] = {
    "CropAndResize": crop,
    "DynamicQuantizeLSTM": lstm,
    "DynamicQuantizeMatMul": dynamic_product,
    "GatherBlockQuantized": block_table,
    "GridSample": grid_sample,
    "Inverse": inverse,
    "MatMulIntegerToFloat": product_to_float,
    "MatMulNBits": block_product,
    "Trilu": trilu,
    "UnfoldTensor": unfold,
}
"""By op type."""
