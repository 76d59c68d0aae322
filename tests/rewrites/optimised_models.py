"""Small language models as ONNX Runtime's optimiser and its GenAI builder write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_MS = "com.microsoft"
_HIDDEN, _HEADS, _WORDS = 32, 2, 50


class _Graph:
    """Nodes and weights, emitted one after the other."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self._draws = np.random.default_rng(0)

    def weight(self, name: str, *shape: int, around: float = 0.0) -> str:
        self.weights[name] = (around + self._draws.normal(0, 0.2, shape)).astype(np.float32)
        return name

    def add(self, op: str, inputs: list[str], *outputs: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, list(outputs), name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def model(self, inputs: list[Any], outputs: list[Any]) -> ModelProto:
        stored = [numpy_helper.from_array(value, name) for name, value in self.weights.items()]
        graph = helper.make_graph(self.nodes, "model", inputs, outputs, stored)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_MS, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _value(name: str, dtype: int, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, dtype, list(shape))


def bert(layers: int = 2) -> ModelProto:
    """EmbedLayerNormalization, Attention, SkipLayerNormalization and BiasGelu, with a mask of every word."""
    graph, size = _Graph(), _HIDDEN
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        graph.add("Cast", [name], f"{name}_int32", to=TensorProto.INT32)
    tables = [
        graph.weight("words", _WORDS, size),
        graph.weight("places", 24, size),
        graph.weight("segments", 2, size),
        graph.weight("embedding_scale", size, around=1.0),
        graph.weight("embedding_bias", size),
    ]
    ids = ["input_ids_int32", "token_type_ids_int32"]
    value = graph.add(
        "EmbedLayerNormalization",
        [*ids, *tables, "attention_mask_int32"],
        "embedded",
        "mask_index",
        domain=_MS,
        epsilon=1e-12,
    )
    for layer in range(layers):
        at = f"layer{layer}_"
        projection = [graph.weight(f"{at}qkv", size, 3 * size), graph.weight(f"{at}qkv_bias", 3 * size)]
        attended = graph.add(
            "Attention", [value, *projection, "attention_mask_int32"], f"{at}attention", domain=_MS, num_heads=_HEADS
        )
        product = graph.add("MatMul", [attended, graph.weight(f"{at}out", size, size)], f"{at}projected")
        value = _skipped(graph, f"{at}norm1", product, value)
        inner = graph.add("MatMul", [value, graph.weight(f"{at}up", size, 2 * size)], f"{at}inner")
        active = graph.add("BiasGelu", [inner, graph.weight(f"{at}up_bias", 2 * size)], f"{at}gelu", domain=_MS)
        product = graph.add("MatMul", [active, graph.weight(f"{at}down", 2 * size, size)], f"{at}outer")
        value = _skipped(graph, f"{at}norm2", product, value)
    graph.add("Identity", [value], "hidden")
    names = ("input_ids", "token_type_ids", "attention_mask")
    return graph.model(
        [_value(name, TensorProto.INT64, "batch", "steps") for name in names],
        [_value("hidden", TensorProto.FLOAT, "batch", "steps", size)],
    )


def _skipped(graph: _Graph, name: str, value: str, skip: str) -> str:
    operands = [
        graph.weight(f"{name}_scale", _HIDDEN, around=1.0),
        graph.weight(f"{name}_beta", _HIDDEN),
        graph.weight(f"{name}_bias", _HIDDEN),
    ]
    return graph.add("SkipLayerNormalization", [value, skip, *operands], name, domain=_MS, epsilon=1e-12)


def llama(layers: int = 2, bits: int = 0, *, packed: bool = True) -> ModelProto:
    """GroupQueryAttention with a cache and rotation, norms of sums; with weights of a few bits, if these are stated."""
    graph, size, keys = _Graph(), _HIDDEN, 1
    head = size // _HEADS
    graph.weights |= {"axis": np.asarray([1], np.int64), "one": np.asarray(1, np.int64)}
    graph.add("ReduceSum", ["attention_mask", "axis"], "counts", keepdims=0)
    graph.add("Sub", ["counts", "one"], "counts_less_one")
    graph.add("Cast", ["counts_less_one"], "seqlens_k", to=TensorProto.INT32)
    graph.add("Shape", ["attention_mask"], "mask_shape")
    graph.add("Gather", ["mask_shape", "one"], "total_int64", axis=0)
    graph.add("Cast", ["total_int64"], "total", to=TensorProto.INT32)
    angles = np.arange(40)[:, None] * 100.0 ** (-np.arange(head // 2) / (head // 2))
    graph.weights |= {"cosine": np.cos(angles).astype(np.float32), "sine": np.sin(angles).astype(np.float32)}
    value = graph.add("Gather", [graph.weight("words", _WORDS, size), "input_ids"], "embedded", axis=0)
    scale = graph.weight("norm_in_scale", size, around=1.0)
    normed = graph.add("SimplifiedLayerNormalization", [value, scale], "norm_in", axis=-1, epsilon=1e-5, stash_type=1)
    states = []
    for layer in range(layers):
        at = f"layer{layer}_"
        width = (_HEADS + 2 * keys) * head
        if packed:
            operands = [_product(graph, f"{at}qkv", normed, width, bits), "", ""]
        else:
            operands = [
                _product(graph, f"{at}{n}", normed, w * head, bits) for n, w in zip("qkv", (_HEADS, 1, 1), strict=True)
            ]
        caches = [f"past_key_values.{layer}.{kind}" for kind in ("key", "value")]
        presents = [f"present.{layer}.{kind}" for kind in ("key", "value")]
        states += [*zip(caches, presents, strict=True)]
        attended = graph.add(
            "GroupQueryAttention",
            [*operands, *caches, "seqlens_k", "total", "cosine", "sine"],
            f"{at}attention",
            *presents,
            domain=_MS,
            num_heads=_HEADS,
            kv_num_heads=keys,
            do_rotary=1,
        )
        product = _product(graph, f"{at}out", attended, size, bits)
        value, normed = _summed(graph, f"{at}norm1", value, product)
        gate, up = (_product(graph, f"{at}{name}", normed, 2 * size, bits) for name in ("gate", "up"))
        sigmoid = graph.add("Sigmoid", [gate], f"{at}sigmoid")
        silu = graph.add("Mul", [gate, sigmoid], f"{at}silu")
        active = graph.add("Mul", [silu, up], f"{at}active")
        product = _product(graph, f"{at}down", active, size, bits)
        value, normed = _summed(graph, f"{at}norm2", value, product)
    graph.add("MatMul", [normed, graph.weight("head", size, _WORDS)], "logits")
    shape = ("batch", keys, "past", head)
    present = ("batch", keys, "total", head)
    return graph.model(
        [
            _value("input_ids", TensorProto.INT64, "batch", "steps"),
            _value("attention_mask", TensorProto.INT64, "batch", "total"),
            *(_value(past, TensorProto.FLOAT, *shape) for past, _ in states),
        ],
        [
            _value("logits", TensorProto.FLOAT, "batch", "steps", _WORDS),
            *(_value(name, TensorProto.FLOAT, *present) for _, name in states),
        ],
    )


def _product(graph: _Graph, name: str, value: str, columns: int, bits: int) -> str:
    rows = 2 * _HIDDEN if name.endswith("down") else _HIDDEN
    if not bits:
        return graph.add("MatMul", [value, graph.weight(f"{name}_weight", rows, columns)], name)
    blocks = rows // 32
    draws = np.random.default_rng(len(name))
    graph.weights[f"{name}_weight"] = draws.integers(0, 256, (columns, blocks, 32 * bits // 8)).astype(np.uint8)
    graph.weights[f"{name}_scales"] = draws.uniform(0.01, 0.05, (columns, blocks)).astype(np.float32)
    return graph.add(
        "MatMulNBits",
        [value, f"{name}_weight", f"{name}_scales"],
        name,
        domain=_MS,
        K=rows,
        N=columns,
        bits=bits,
        block_size=32,
        accuracy_level=4,
    )


def _summed(graph: _Graph, name: str, value: str, added: str) -> tuple[str, str]:
    """The sum, and the sum normalised."""
    scale = graph.weight(f"{name}_scale", _HIDDEN, around=1.0)
    normed = graph.add(
        "SkipSimplifiedLayerNormalization", [value, added, scale], name, "", "", f"{name}_sum", domain=_MS, epsilon=1e-5
    )
    return f"{name}_sum", normed
