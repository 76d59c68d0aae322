"""Configurations of normalisations, activations and fused products of ONNX Runtime's own domain."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from foreign_models import FLOAT, HALF, INT32, Array, Configuration, Draw, maybe, normal, pick
from onnx import ModelProto, TensorProto, helper

DOUBLE = TensorProto.DOUBLE
TYPES = {np.float32: FLOAT, np.float16: HALF, np.float64: DOUBLE}


def _chance(rng: np.random.Generator, share: float = 0.5) -> bool:
    return bool(rng.random() < share)


def _type(rng: np.random.Generator) -> Any:
    return pick(rng, np.float32, np.float32, np.float16, np.float64)


def _dims(rng: np.random.Generator, least: int = 1, most: int = 4) -> list[int]:
    return [int(each) for each in rng.integers(1, 6, int(rng.integers(least, most + 1)))]


def skip_norm(rng: np.random.Generator) -> Configuration:
    element = pick(rng, np.float32, np.float32, np.float16)
    batch, steps, size = (int(rng.integers(1, most)) for most in (4, 5, 9))
    forms = [(batch, steps, size), (1, steps, size), (steps, size)]
    shape = (batch, steps, size) if _chance(rng, 0.7) else (steps, size)
    skip = shape if len(shape) == 2 else forms[int(rng.integers(0, 3))]
    outputs: tuple[int, ...] = (TYPES[element],)
    if _chance(rng):
        outputs = (TYPES[element], 0, 0, TYPES[element])
    return Configuration(
        "SkipLayerNormalization",
        {
            "x": normal(rng, *shape, dtype=element),
            "skip": normal(rng, *skip, dtype=element),
            "scale": normal(rng, size, dtype=element),
            "beta": maybe(rng, normal(rng, size, dtype=element)),
            "bias": maybe(rng, normal(rng, size, dtype=element)),
        },
        {"epsilon": 1e-3 if _chance(rng) else None},
        outputs=outputs,
        constants=("scale", "beta", "bias"),
        opset=int(rng.choice([13, 17])),
        dynamic={("x", 0): "batch", ("x", 1): "steps"} if len(skip) == 3 and skip == shape and _chance(rng) else {},
    )


def skip_simplified(rng: np.random.Generator) -> Configuration:
    element = pick(rng, np.float32, np.float32, np.float16)
    shape = _dims(rng, 2, 3)
    outputs: tuple[int, ...] = (TYPES[element],)
    if _chance(rng):
        mean, inverse = (FLOAT if _chance(rng, 0.3) else 0 for _ in range(2))
        outputs = (TYPES[element], mean, inverse, TYPES[element])
    return Configuration(
        "SkipSimplifiedLayerNormalization",
        {
            "x": normal(rng, *shape, dtype=element),
            "skip": normal(rng, *shape, dtype=element),
            "scale": normal(rng, shape[-1], dtype=element),
            "bias": maybe(rng, normal(rng, shape[-1], dtype=element)),
        },
        {"epsilon": 1e-3 if _chance(rng) else None},
        outputs=outputs,
        constants=("scale", "bias"),
    )


def simplified(rng: np.random.Generator) -> Configuration:
    element = _type(rng)
    shape = _dims(rng, 1, 4)
    axis = -1 if _chance(rng) else int(rng.integers(0, len(shape)))
    return Configuration(
        "SimplifiedLayerNormalization",
        {
            "x": normal(rng, *shape, dtype=element) * np.asarray(4, element),
            "scale": normal(rng, *shape[axis:], dtype=element),
        },
        {"axis": axis if _chance(rng, 0.8) or axis != -1 else None, "epsilon": 1e-3 if _chance(rng) else None},
        outputs=(TYPES[element], FLOAT) if _chance(rng, 0.3) else (TYPES[element],),
        domain="",
        dynamic={("x", 0): "batch"} if _chance(rng) and len(shape) > 1 and axis % len(shape) else {},
    )


def _embedding_operands(rng: np.random.Generator) -> tuple[dict[str, Array | None], int, dict[tuple[str, int], str]]:
    batch, steps, size = (int(rng.integers(1, most)) for most in (4, 6, 9))
    has_segments = _chance(rng)
    operands: dict[str, Array | None] = {
        "ids": np.asarray(rng.integers(0, 9, (batch, steps)), np.int32),
        "segments": np.asarray(rng.integers(0, 2, (batch, steps)), np.int32) if has_segments else None,
    }
    dynamic = {(name, axis): ("batch", "steps")[axis] for name in ("ids", "segments", "mask") for axis in (0, 1)}
    return operands, size, dynamic if _chance(rng) else {}


def embedding(rng: np.random.Generator) -> Configuration:
    operands, size, dynamic = _embedding_operands(rng)
    ids = operands["ids"]
    assert ids is not None
    batch, steps = ids.shape
    has_segments = operands["segments"] is not None
    operands |= {
        "words": normal(rng, 9, size),
        "places": normal(rng, 8, size),
        "segment_table": normal(rng, 2, size) if has_segments else None,
        "scale": normal(rng, size),
        "beta": normal(rng, size),
        "mask": maybe(rng, np.asarray(rng.integers(0, 2, (batch, steps)), np.int32)),
        "positions": maybe(rng, np.asarray(rng.integers(0, 8, (batch, steps)), np.int32), 0.4),
    }
    outputs = (FLOAT, INT32, FLOAT) if _chance(rng) else (FLOAT, INT32)
    return Configuration(
        "EmbedLayerNormalization",
        operands,
        {"epsilon": 1e-3 if _chance(rng) else None},
        outputs=outputs,
        constants=("words", "places", "segment_table", "scale", "beta"),
        dynamic=dynamic if operands["positions"] is None else {},
    )


def quantized_embedding(rng: np.random.Generator) -> Configuration:
    operands, size, dynamic = _embedding_operands(rng)
    ids = operands["ids"]
    assert ids is not None
    kind = pick(rng, np.uint8, np.int8)
    least = 0 if kind == np.uint8 else -128
    tables = {"words": (9, size), "places": (8, size), "segment_table": (2, size), "scale": (size,), "beta": (size,)}
    left = () if operands["segments"] is not None else ("segment_table",)

    def each(name: str, value: Array) -> Array | None:
        return None if name in left else value

    operands |= {
        name: each(name, rng.integers(least, least + 256, shape).astype(kind)) for name, shape in tables.items()
    }
    operands["mask"] = maybe(rng, np.asarray(rng.integers(0, 2, ids.shape), np.int32))
    operands |= {f"{name}_scale": each(name, np.asarray(rng.uniform(0.01, 0.1), np.float32)) for name in tables}
    operands |= {f"{name}_zero": each(name, np.asarray(least + 100).astype(kind)) for name in tables}
    return Configuration(
        "QEmbedLayerNormalization",
        operands,
        {"epsilon": 1e-3 if _chance(rng) else None},
        outputs=(FLOAT, INT32),
        constants=tuple(name for name in operands if name not in ("ids", "segments", "mask")),
        dynamic=dynamic,
    )


def _activation(op: str, *, bias: str, alpha: bool = False) -> Draw:
    def draw(rng: np.random.Generator) -> Configuration:
        shape = _dims(rng, 2, 4)
        operands: dict[str, Array | None] = {"x": normal(rng, *shape) * np.float32(2)}
        if bias != "none":
            operands["b"] = normal(rng, shape[-1]) if bias == "always" or _chance(rng) else None
        attributes = {"alpha": float(rng.uniform(0.5, 2))} if alpha and _chance(rng) else {}
        return Configuration(
            op, operands, attributes, constants=("b",), dynamic={("x", 0): "n"} if _chance(rng) else {}
        )

    return draw


def _reference(text: str, imports: str = '"": 17, "com.microsoft": 1') -> ModelProto:
    return onnx.parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]> g {text}")


def bias_split(rng: np.random.Generator) -> Configuration:
    """ONNX Runtime's CPU has no kernel: compared with its definition."""
    batch, steps, half = (int(rng.integers(1, most)) for most in (4, 5, 6))
    text = f"""(float[{batch},{steps},{2 * half}] x, float[{2 * half}] b) => (float[{batch},{steps},{half}] out0)
    <int64[1] zero = {{0}}, int64[1] mid = {{{half}}}, int64[1] end = {{{2 * half}}}, int64[1] last = {{2}}> {{
    t = Add(x, b) l = Slice(t, zero, mid, last) r = Slice(t, mid, end, last)
    g = com.microsoft.Gelu(r) out0 = Mul(l, g) }}"""
    return Configuration(
        "BiasSplitGelu",
        {"x": normal(rng, batch, steps, 2 * half), "b": normal(rng, 2 * half)},
        reference=_reference(text),
    )


def gemm_gelu(rng: np.random.Generator) -> Configuration:
    """ONNX Runtime's CPU has no kernel: compared with MatMul and FastGelu."""
    batch, steps, wide, size = (int(rng.integers(1, most)) for most in (4, 5, 6, 6))
    has_bias = _chance(rng)
    declared, read = (f", float[{size}] b", ", b") if has_bias else ("", "")
    text = f"""(float[{batch},{steps},{wide}] x, float[{wide},{size}] w{declared}) =>
    (float[{batch},{steps},{size}] out0) {{ m = MatMul(x, w) out0 = com.microsoft.FastGelu(m{read}) }}"""
    operands = {"x": normal(rng, batch, steps, wide), "w": normal(rng, wide, size)}
    return Configuration(
        "GemmFastGelu",
        {**operands, "b": normal(rng, size) if has_bias else None},
        reference=_reference(text),
    )


def _convolution_parts(rng: np.random.Generator) -> tuple[dict[str, Array | None], dict[str, Any], int]:
    group = int(rng.choice([1, 1, 2]))
    channels, filters = 2 * group, int(rng.integers(1, 3)) * group
    kernel = [int(each) for each in rng.integers(1, 4, 2)]
    attributes: dict[str, Any] = {
        "group": group,
        "kernel_shape": kernel,
        "strides": [int(each) for each in rng.integers(1, 3, 2)],
        "pads": [int(each) for each in rng.integers(0, 2, 4)] if _chance(rng) else None,
        "activation": str(rng.choice(["Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid"])),
    }
    limits = {"LeakyRelu": [0.2], "Clip": [-0.5, 0.7], "HardSigmoid": [0.3, 0.4]}
    attributes["activation_params"] = limits.get(attributes["activation"])
    operands: dict[str, Array | None] = {
        "x": normal(rng, int(rng.integers(1, 3)), channels, 6, 7),
        "w": normal(rng, filters, channels // group, *kernel),
        "b": maybe(rng, normal(rng, filters)),
    }
    return operands, attributes, filters


def fused_conv(rng: np.random.Generator) -> Configuration:
    operands, attributes, _ = _convolution_parts(rng)
    found = Configuration("FusedConv", operands, attributes, constants=("w", "b"))
    if _chance(rng) and attributes["activation"] == "Relu":
        operands["z"] = normal(rng, *_conv_shape(found))
    return found


def _conv_shape(found: Configuration) -> tuple[int, ...]:
    x, w = found.inputs["x"], found.inputs["w"]
    assert x is not None
    assert w is not None
    pads = found.attributes["pads"] or [0] * 4
    sizes = [
        (x.shape[2 + axis] + pads[axis] + pads[axis + 2] - w.shape[2 + axis]) // found.attributes["strides"][axis] + 1
        for axis in range(2)
    ]
    return (x.shape[0], w.shape[0], *sizes)


def nhwc_fused_conv(rng: np.random.Generator) -> Configuration:
    """ONNX Runtime's CPU has no kernel: compared with FusedConv between transpositions, and a sum before it."""
    operands, attributes, _ = _convolution_parts(rng)
    first = Configuration("FusedConv", operands, attributes, constants=("w", "b"))
    shape = _conv_shape(first)
    operands["z"] = maybe(rng, normal(rng, *shape))
    nodes = [helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2])]
    activation = {key: attributes[key] for key in ("activation", "activation_params") if attributes[key] is not None}
    window = {key: value for key, value in attributes.items() if not key.startswith("act") and value is not None}
    names = ["first", "w", *(["b"] if operands["b"] is not None else [])]
    last = "conv"
    nodes.append(helper.make_node("Conv", names, [last], **window))
    nodes.append(helper.make_node("Transpose", [last], ["back"], perm=[0, 2, 3, 1]))
    if operands["z"] is not None:
        nodes.append(helper.make_node("Add", ["back", "z"], ["sum"]))
    values = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}.get(attributes["activation"], ())
    stated = dict(zip(values, activation.get("activation_params", ()), strict=False))
    names = [nodes[-1].output[0]]
    constants = {"w": operands["w"], "b": operands["b"]}
    if attributes["activation"] == "Clip":
        names += ["low", "high"]
        constants |= dict(zip(("low", "high"), np.asarray([-0.5, 0.7], np.float32), strict=True))
    nodes.append(helper.make_node(attributes["activation"], names, ["out0"], **stated))
    fed = {
        name: np.ascontiguousarray(np.transpose(value, (0, 2, 3, 1)))
        for name, value in operands.items()
        if value is not None and name in "xz"
    }
    graph = helper.make_graph(
        nodes,
        "reference",
        [helper.make_tensor_value_info(name, FLOAT, value.shape) for name, value in fed.items()],
        [helper.make_tensor_value_info("out0", FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items() if v is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    mixed = {"x": fed["x"], "w": operands["w"], "b": operands["b"], "z": fed.get("z")}
    return Configuration("NhwcFusedConv", mixed, attributes, constants=("w", "b"), reference=model)


def fused_product(rng: np.random.Generator) -> Configuration:
    element = pick(rng, np.float32, np.float32, np.float64)
    rank = int(rng.integers(2, 5))
    batch = [int(each) for each in rng.integers(1, 4, rank - 2)]
    rows, inner, columns = (int(each) for each in rng.integers(1, 6, 3))
    across = int(rank > 2 and _chance(rng, 0.3))
    turned = [int(_chance(rng)) for _ in range(2)]
    shapes = []
    for one, two, turn in ((rows, inner, turned[0]), (inner, columns, turned[1])):
        first, second = (two, one) if turn else (one, two)
        shapes.append([first, *batch, second] if across else [*batch, first, second])
    return Configuration(
        "FusedMatMul",
        {name: normal(rng, *shape, dtype=element) for name, shape in zip("ab", shapes, strict=True)},
        {
            "alpha": float(rng.uniform(0.2, 2)) if _chance(rng) else None,
            "transA": turned[0],
            "transB": turned[1],
            "transBatchA": across or None,
            "transBatchB": across or None,
        },
        outputs=(TYPES[element],),
        dynamic={("a", 0): "n"} if rank == 2 and not turned[0] and _chance(rng) else {},
    )


def fused_gemm(rng: np.random.Generator) -> Configuration:
    rows, inner, columns = (int(each) for each in rng.integers(1, 6, 3))
    turned = [int(_chance(rng)) for _ in range(2)]
    one = (inner, rows) if turned[0] else (rows, inner)
    two = (columns, inner) if turned[1] else (inner, columns)
    kind = str(rng.choice(["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Elu", "Softplus", "Softsign"]))
    has_alpha = kind in ("LeakyRelu", "HardSigmoid", "Elu")
    return Configuration(
        "FusedGemm",
        {"a": normal(rng, *one), "b": normal(rng, *two), "c": maybe(rng, normal(rng, columns))},
        {
            "alpha": float(rng.uniform(0.2, 2)) if _chance(rng) else None,
            "beta": float(rng.uniform(0.2, 2)) if _chance(rng) else None,
            "transA": turned[0],
            "transB": turned[1],
            "activation": kind,
            "activation_alpha": 0.3 if has_alpha else None,
            "activation_beta": 0.4 if has_alpha and kind == "HardSigmoid" else None,
        },
    )


DRAWS: dict[str, Draw] = {
    "BiasGelu": _activation("BiasGelu", bias="always"),
    "BiasSplitGelu": bias_split,
    "EmbedLayerNormalization": embedding,
    "FastGelu": _activation("FastGelu", bias="sometimes"),
    "FusedConv": fused_conv,
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_product,
    "GemmFastGelu": gemm_gelu,
    "NhwcFusedConv": nhwc_fused_conv,
    "QEmbedLayerNormalization": quantized_embedding,
    "QuickGelu": _activation("QuickGelu", bias="none", alpha=True),
    "SimplifiedLayerNormalization": simplified,
    "SkipLayerNormalization": skip_norm,
    "SkipSimplifiedLayerNormalization": skip_simplified,
}
"""By op type."""
