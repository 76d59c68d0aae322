"""Configurations of ONNX Runtime's operators on quantised tensors, and of those that ONNX took over."""

from __future__ import annotations

from typing import Any

import numpy as np
from foreign_models import FLOAT, INT32, INT64, Array, Configuration, Draw, maybe, normal, pick
from onnx import TensorProto

_TYPES: dict[Any, int] = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}


def _chance(rng: np.random.Generator, share: float = 0.5) -> bool:
    return bool(rng.random() < share)


def _bytes(rng: np.random.Generator, kind: Any, *shape: int) -> Array:
    limits = np.iinfo(kind)
    return np.asarray(rng.integers(limits.min, limits.max + 1, shape)).astype(kind)


def _dims(rng: np.random.Generator, low: int, high: int) -> tuple[int, ...]:
    return tuple(int(each) for each in rng.integers(1, 7, int(rng.integers(low, high + 1))))


def _scale(rng: np.random.Generator, low: float = 0.01, high: float = 0.1) -> Array:
    return np.asarray(rng.uniform(low, high), np.float32)


def _kind(rng: np.random.Generator) -> Any:
    return pick(rng, np.uint8, np.int8)


def _parameters(rng: np.random.Generator, name: str, kind: Any, *, zero: bool = True) -> dict[str, Array | None]:
    """A scale, and a zero point or none."""
    return {f"{name}_scale": _scale(rng), f"{name}_zero": _bytes(rng, kind) if zero else None}


def _binary(op: str) -> Draw:
    def draw(rng: np.random.Generator) -> Configuration:
        kind, shape = _kind(rng), _dims(rng, 1, 4)
        other = tuple(1 if _chance(rng, 0.3) else size for size in shape[int(rng.integers(0, len(shape))) :])
        constant = _chance(rng)
        inputs = {
            "a": _bytes(rng, kind, *shape),
            **_parameters(rng, "a", kind),
            "b": _bytes(rng, kind, *other),
            **_parameters(rng, "b", kind),
            **_parameters(rng, "c", kind, zero=_chance(rng, 0.8)),
        }
        fixed = tuple(name for name in inputs if name not in ("a", "b")) + (("b",) if constant else ())
        dynamic = {("a", 0): "n"} if len(shape) > len(other) and _chance(rng) else {}
        return Configuration(op, inputs, outputs=(_TYPES[kind],), constants=fixed, dynamic=dynamic)

    return draw


def _unary(op: str, **attributes: Any) -> Draw:
    def draw(rng: np.random.Generator) -> Configuration:
        kind, shape = _kind(rng), _dims(rng, 1, 4)
        inputs = {
            "a": _bytes(rng, kind, *shape),
            **_parameters(rng, "a", kind, zero=_chance(rng, 0.8)),
            **_parameters(rng, "c", kind),
        }
        stated = {name: value(rng) for name, value in attributes.items()}
        fixed = tuple(name for name in inputs if name != "a")
        return Configuration(
            op,
            inputs,
            stated,
            outputs=(_TYPES[kind],),
            constants=fixed,
            dynamic={("a", 0): "n"} if _chance(rng) else {},
        )

    return draw


def softmax(rng: np.random.Generator) -> Configuration:
    kind, shape = _kind(rng), _dims(rng, 2, 4)
    unit = np.asarray(1 / 256 if kind == np.uint8 else rng.uniform(0.003, 0.02), np.float32)
    return Configuration(
        "QLinearSoftmax",
        {
            "a": _bytes(rng, kind, *shape),
            "a_scale": _scale(rng),
            "a_zero": _bytes(rng, kind),
            "c_scale": unit,
            "c_zero": _bytes(rng, kind) if _chance(rng, 0.2) else np.asarray(np.iinfo(kind).min, kind),
        },
        {"axis": int(rng.integers(-len(shape), len(shape))), "opset": pick(rng, 11, 13)},
        outputs=(_TYPES[kind],),
        constants=("a_scale", "a_zero", "c_scale", "c_zero"),
    )


def where(rng: np.random.Generator) -> Configuration:
    kind, shape = _kind(rng), _dims(rng, 1, 4)
    other = tuple(1 if _chance(rng, 0.3) else size for size in shape)
    inputs: dict[str, Array | None] = {
        "m": rng.random(shape) < 0.5,
        "a": _bytes(rng, kind, *other),
        **_parameters(rng, "a", kind),
        "b": _bytes(rng, kind, *shape),
        **_parameters(rng, "b", kind),
        **_parameters(rng, "c", kind),
    }
    fixed = tuple(name for name in inputs if "_" in name)
    return Configuration("QLinearWhere", inputs, outputs=(_TYPES[kind],), constants=fixed)


def concat(rng: np.random.Generator) -> Configuration:
    kind, shape, count = _kind(rng), list(_dims(rng, 1, 4)), int(rng.integers(1, 4))
    axis = int(rng.integers(-len(shape), len(shape)))
    inputs: dict[str, Array | None] = _parameters(rng, "c", kind)
    for number in range(count):
        shape[axis] = int(rng.integers(1, 5))
        inputs |= {f"x{number}": _bytes(rng, kind, *shape), **_parameters(rng, f"x{number}", kind)}
    fixed = tuple(name for name in inputs if "_" in name)
    return Configuration("QLinearConcat", inputs, {"axis": axis}, outputs=(_TYPES[kind],), constants=fixed)


def _image(rng: np.random.Generator, channels: int, *, last: bool) -> tuple[int, ...]:
    batch, height, width = int(rng.integers(1, 3)), int(rng.integers(3, 9)), int(rng.integers(3, 9))
    return (batch, height, width, channels) if last else (batch, channels, height, width)


def average_pool(rng: np.random.Generator) -> Configuration:
    kind, last = _kind(rng), _chance(rng)
    inputs = {
        "a": _bytes(rng, kind, *_image(rng, int(rng.integers(1, 5)), last=last)),
        **_parameters(rng, "a", kind),
        **_parameters(rng, "c", kind),
    }
    window = [int(each) for each in rng.integers(2, 4, 2)]  # no gaps between windows: ONNX's inference miscounts them
    return Configuration(
        "QLinearAveragePool",
        inputs,
        {
            "kernel_shape": window,
            "pads": [int(rng.integers(0, each)) for each in (*window, *window)] if _chance(rng) else None,
            "strides": [int(each) for each in rng.integers(1, 3, 2)] if _chance(rng) else None,
            "count_include_pad": pick(rng, None, 0, 1),
            "ceil_mode": pick(rng, None, 0, 0, 1),
            "channels_last": int(last),
        },
        outputs=(_TYPES[kind],),
        constants=tuple(name for name in inputs if name != "a"),
    )


def global_average_pool(rng: np.random.Generator) -> Configuration:
    kind, last = _kind(rng), _chance(rng)
    inputs = {
        "a": _bytes(rng, kind, *_image(rng, int(rng.integers(1, 5)), last=last)),
        **_parameters(rng, "a", kind),
        **_parameters(rng, "c", kind),
    }
    return Configuration(
        "QLinearGlobalAveragePool",
        inputs,
        {"channels_last": int(last)},
        outputs=(_TYPES[kind],),
        constants=tuple(name for name in inputs if name != "a"),
    )


def max_pool(rng: np.random.Generator) -> Configuration:
    kind = _kind(rng)
    window = [int(each) for each in rng.integers(2, 4, 2)]
    return Configuration(
        "NhwcMaxPool",
        {"a": _bytes(rng, kind, *_image(rng, int(rng.integers(1, 5)), last=True))},
        {
            "kernel_shape": window,
            "pads": [int(rng.integers(0, each)) for each in (*window, *window)] if _chance(rng) else None,
            "strides": [int(each) for each in rng.integers(1, 3, 2)] if _chance(rng) else None,
            "dilations": [1, 1] if _chance(rng) else None,
            "ceil_mode": pick(rng, None, 0, 0, 1),
        },
        outputs=(_TYPES[kind],),
    )


def convolution(rng: np.random.Generator) -> Configuration:
    kind, last, group = np.uint8, _chance(rng, 0.7), pick(rng, 1, 1, 2)
    channels, features = group * int(rng.integers(1, 4)), group * int(rng.integers(1, 4))
    weight = pick(rng, np.uint8, np.int8)
    window = [int(each) for each in rng.integers(1, 4, 2)]
    several = _chance(rng) and weight == np.int8
    inputs: dict[str, Array | None] = {
        "a": _bytes(rng, kind, *_image(rng, channels, last=last)),
        **_parameters(rng, "a", kind),
        "w": _bytes(rng, weight, features, channels // group, *window),
        "w_scale": np.asarray(rng.uniform(0.005, 0.02, (features,) if several else ()), np.float32),
        "w_zero": np.zeros((features,) if several else (), weight) if several else _bytes(rng, weight),
        "c_scale": _scale(rng, 0.05, 0.3),
        "c_zero": _bytes(rng, kind),
        "b": maybe(rng, rng.integers(-500, 500, features).astype(np.int32)),
    }
    return Configuration(
        "QLinearConv",
        inputs,
        {
            "kernel_shape": window,
            "group": group,
            "pads": [int(rng.integers(0, each)) for each in (*window, *window)] if _chance(rng) else None,
            "strides": [int(each) for each in rng.integers(1, 3, 2)] if _chance(rng) else None,
            "channels_last": int(last),
        },
        outputs=(_TYPES[kind],),
        constants=tuple(name for name in inputs if name != "a"),
    )


def gemm(rng: np.random.Generator) -> Configuration:
    rows, inner, columns = (int(each) for each in rng.integers(1, 7, 3))
    kind, weight = pick(rng, (np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8))
    left, right = int(rng.integers(0, 2)), int(rng.integers(0, 2))
    several, is_float = _chance(rng, 0.4), _chance(rng, 0.4)
    count = (columns,) if several else ()
    inputs: dict[str, Array | None] = {
        "a": _bytes(rng, kind, *((inner, rows) if left else (rows, inner))),
        **_parameters(rng, "a", kind),
        "b": _bytes(rng, weight, *((columns, inner) if right else (inner, columns))),
        "b_scale": np.asarray(rng.uniform(0.005, 0.02, count), np.float32),
        "b_zero": _bytes(rng, weight, *count),
        "c": maybe(rng, rng.integers(-500, 500, columns).astype(np.int32)),
        "y_scale": None if is_float else _scale(rng),
        "y_zero": None if is_float else _bytes(rng, kind),
    }
    return Configuration(
        "QGemm",
        inputs,
        {"transA": left, "transB": right, "alpha": pick(rng, None, 1.0, 0.5)},
        outputs=(FLOAT if is_float else _TYPES[kind],),
        constants=tuple(name for name in inputs if name != "a"),
        dynamic={("a", 1 if left else 0): "n"} if _chance(rng) else {},
    )


def quantize(rng: np.random.Generator) -> Configuration:
    kind, shape = _kind(rng), _dims(rng, 1, 4)
    axis = int(rng.integers(0, len(shape))) if _chance(rng) else None
    count = () if axis is None else (shape[axis],)
    return Configuration(
        "QuantizeLinear",
        {
            "x": normal(rng, *shape) * np.float32(3),
            "scale": np.asarray(rng.uniform(0.01, 0.1, count), np.float32),
            "zero": _bytes(rng, kind, *count),
        },
        {"axis": axis},
        outputs=(_TYPES[kind],),
        constants=("scale", "zero"),
    )


def dequantize(rng: np.random.Generator) -> Configuration:
    kind, shape = _kind(rng), _dims(rng, 1, 4)
    axis = int(rng.integers(0, len(shape))) if _chance(rng) else None
    count = () if axis is None else (shape[axis],)
    return Configuration(
        "DequantizeLinear",
        {
            "x": _bytes(rng, kind, *shape),
            "scale": np.asarray(rng.uniform(0.01, 0.1, count), np.float32),
            "zero": _bytes(rng, kind, *count),
        },
        {"axis": axis},
        constants=("scale", "zero"),
    )


def pad(rng: np.random.Generator) -> Configuration:
    shape = _dims(rng, 1, 4)
    mode = pick(rng, None, "constant", "edge", "reflect")
    most = [size - 1 if mode == "reflect" else 3 for size in shape]
    pads = [int(rng.integers(0, each + 1)) for each in (*most, *most)]
    has_value = mode in (None, "constant") and _chance(rng)
    return Configuration(
        "Pad",
        {
            "x": normal(rng, *shape),
            "pads": np.asarray(pads, np.int64),
            "value": np.asarray([1.5], np.float32) if has_value else None,
        },
        {"mode": mode},
        constants=("pads", "value"),
    )


def transpose_product(rng: np.random.Generator) -> Configuration:
    batch, rows, inner, columns = (int(each) for each in rng.integers(1, 6, 4))
    left, right = int(rng.integers(0, 2)), int(rng.integers(0, 2))
    lead = (batch,) if _chance(rng) else ()
    return Configuration(
        "TransposeMatMul",
        {
            "a": normal(rng, *lead, *((inner, rows) if left else (rows, inner))),
            "b": normal(rng, *lead, *((columns, inner) if right else (inner, columns))),
        },
        {"transA": left, "transB": right, "alpha": pick(rng, None, 1.0, 0.7)},
    )


def numbers(rng: np.random.Generator) -> Configuration:
    kind = pick(rng, np.float32, np.int32, np.int64)
    start, step = int(rng.integers(-5, 5)), int(pick(rng, 1, 2, -1))
    stop = start + step * int(rng.integers(1, 9))
    return Configuration(
        "Range",
        {
            "start": np.asarray(start, kind),
            "limit": np.asarray(stop, kind),
            "delta": np.asarray(step, kind),
        },
        outputs=({np.float32: FLOAT, np.int32: INT32, np.int64: INT64}[kind],),
        constants=("limit", "delta"),
    )


def gather_nd(rng: np.random.Generator) -> Configuration:
    shape = _dims(rng, 2, 4)
    depth, lead = int(rng.integers(1, len(shape) + 1)), _dims(rng, 1, 2)
    indices = np.stack([rng.integers(0, size, lead) for size in shape[:depth]], axis=-1)
    kind = pick(rng, np.int64, np.int32)
    return Configuration("GatherND", {"x": normal(rng, *shape), "i": indices.astype(kind)}, constants=("i",))


DRAWS: dict[str, Draw] = {
    "DequantizeLinear": dequantize,
    "GatherND": gather_nd,
    "NhwcMaxPool": max_pool,
    "Pad": pad,
    "QGemm": gemm,
    "QLinearAdd": _binary("QLinearAdd"),
    "QLinearAveragePool": average_pool,
    "QLinearConcat": concat,
    "QLinearConv": convolution,
    "QLinearGlobalAveragePool": global_average_pool,
    "QLinearLeakyRelu": _unary("QLinearLeakyRelu", alpha=lambda rng: pick(rng, 0.01, 0.1, 0.3)),
    "QLinearMul": _binary("QLinearMul"),
    "QLinearSigmoid": _unary("QLinearSigmoid"),
    "QLinearSoftmax": softmax,
    "QLinearWhere": where,
    "QuantizeLinear": quantize,
    "Range": numbers,
    "TransposeMatMul": transpose_product,
}
"""By op type."""
