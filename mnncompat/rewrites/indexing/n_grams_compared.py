"""TfIdfVectorizer of numbers, by comparing every window with every n-gram."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from mnncompat.rewrites.core.base import Example
from mnncompat.rewrites.core.examples import refused, rewritten, unchanged
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.core.subgraph_builder import NotApplicable, SubgraphBuilder, Value

if TYPE_CHECKING:
    from mnncompat.support.node_facts import NodeFacts

_MOST = 1 << 22
"""Comparisons of one row, from which on they are too many."""


class NGramsCompared(NodeRewrite):
    """Count n-grams by comparing every window of a sequence with each of them.

    **What.** TfIdfVectorizer of integers over sequences of a known length, with skips, and all three modes.

    **Why.** MNN's converter does not know it.

    **Before and after**::

        y = TfIdfVectorizer(x)
        y = ReduceSum(all(x[windows] == n-grams)) * weights

    **Algebra.** ONNX's definition. The windows of n elements that are s + 1 apart are gathered for every s up to
    ``max_skip_count``, single elements once; a window that equals an n-gram counts 1 in its column.

    **Refuses** strings, sequences of dynamic length, and more than four million comparisons of one row.

    **Source.** https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html
    """

    code = "MNN973"
    name = "n-grams-compared"
    summary = "every window is compared with every n-gram"
    op_types = ("TfIdfVectorizer",)

    def build(self, node: NodeFacts, new: SubgraphBuilder) -> Value:
        """Emit the comparisons."""
        value = new.input(0)
        if node.attribute("pool_strings") or value.dtype == TensorProto.STRING:
            raise NotApplicable("n-grams of strings, and MNN has no tensors of strings")
        length = value.dim(-1)
        columns = np.asarray(node.attribute("ngram_indexes"), np.int64)
        found: list[Value] = []
        places: list[np.ndarray] = []
        for size, grams, own in _grams(node, columns):
            windows = _windows(length, size, int(node.attribute("max_skip_count")))
            if windows.size * len(grams) > _MOST:
                raise NotApplicable(f"{windows.size * len(grams)} comparisons of one row, more than {_MOST}")
            if len(windows) and len(grams):
                found.append(_counts(new, value, windows, grams))
                places.append(own)
        width = int(columns.max()) + 1
        if not found:
            return new.cast(new.reduce("ReduceSum", value, [-1]) * 0, TensorProto.FLOAT) + np.zeros(width, np.float32)
        counts = new.concat(found, value.rank - 1)
        order = np.zeros((counts.dim(-1), width), np.float32)
        order[np.arange(len(order)), np.concatenate(places)] = 1
        return _weighted(node, new, counts @ new.constant(order), columns)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Pairs and single numbers, a sequence of unknown length, and an operator that MNN has."""
        node = """TfIdfVectorizer<max_gram_length=2, max_skip_count=1, min_gram_length=1, mode="TF",
            ngram_counts=[0,2], ngram_indexes=[2,0,1,3], pool_int64s=[2,3,5,4,7,8]>(x)"""
        return (
            rewritten(
                "pairs and single numbers",
                f"(int64[N,6] x) => (float[N,4] y) {{ y = {node} }}",
                becomes="2 Cast, Concat, 2 Equal, 2 Gather, MatMul, ReduceMin, 2 ReduceSum, Squeeze, 2 Unsqueeze",
                opset=17,
            ),
            refused("length is dynamic", "is dynamic", f"(int64[2,L] x) => (float[2,4] y) {{ y = {node} }}", opset=17),
            unchanged("MNN has it", "(float[2,4] x) => (float[2,1] y) { y = ReduceMax<axes=[1]>(x) }"),
        )


def _grams(node: NodeFacts, columns: np.ndarray) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """For each size of n-grams that counts: the size, the n-grams, and their columns in the result."""
    pool = np.asarray(node.attribute("pool_int64s"), np.int64)
    starts = [*node.attribute("ngram_counts"), len(pool)]
    found, passed = [], 0
    for size, (start, end) in enumerate(pairwise(starts), start=1):
        held = pool[start:end]
        if len(held) % size:
            raise NotApplicable(f"the pool holds {len(held)} elements of n-grams of {size}")
        grams = held.reshape(-1, size)
        own = columns[passed : passed + len(grams)]
        passed += len(grams)
        if int(node.attribute("min_gram_length")) <= size <= int(node.attribute("max_gram_length")):
            found.append((size, grams, own))
    return found


def _windows(length: int, size: int, skips: int) -> np.ndarray:
    """Positions of the elements of every window, (windows, size)."""
    found = [np.zeros((0, size), np.int64)]
    for apart in range(1, (1 if size == 1 else skips + 1) + 1):
        count = length - (size - 1) * apart
        if count > 0:
            found.append(np.arange(count)[:, None] + np.arange(size) * apart)
    return np.concatenate(found)


def _counts(new: SubgraphBuilder, value: Value, windows: np.ndarray, grams: np.ndarray) -> Value:
    """How often each n-gram is in a sequence, (..., n-grams)."""
    rank = value.rank
    seen = new.unsqueeze(new.op("Gather", value, new.constant(windows), axis=rank - 1), (rank,))
    same = new.cast(new.op("Equal", seen, new.constant(grams.astype(value.element))), TensorProto.FLOAT)
    whole = (
        new.reduce("ReduceMin", same, [-1], keepdims=False) if grams.shape[1] > 1 else new.squeeze(same, (rank + 1,))
    )
    return new.reduce("ReduceSum", whole, [rank - 1], keepdims=False)


def _weighted(node: NodeFacts, new: SubgraphBuilder, counts: Value, columns: np.ndarray) -> Value:
    """The counts by mode."""
    mode, stated = node.attribute("mode"), node.attribute("weights")
    weights = np.ones(counts.dim(-1), np.float32)
    if stated:
        if len(stated) != len(columns):
            raise NotApplicable(f"there are {len(stated)} weights and {len(columns)} n-grams")
        weights[columns] = np.asarray(stated, np.float32)
    if mode == "TF":
        return counts
    if mode == "TFIDF":
        return counts * weights
    if mode != "IDF":
        raise NotApplicable(f"mode is {mode}")
    return new.op("Min", counts, np.ones((), np.float32)) * weights
