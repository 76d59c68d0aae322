"""Products whose quantised weights stay the same integers in the `.mnn` file, as MNN's own weight quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.block_weights import BlockWeights, block_weights
from mnncompat.inference.model_view import view_model
from mnncompat.mnn.kept_integers import LEAST_BLOCK, KeptIntegers, plain_weights
from mnncompat.results.outcomes import KeptQuantized, LeftAsFloats
from mnncompat.support.node_facts import NodeFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mnncompat.graph.model_file import Model

_PRODUCT, _TABLE = "MatMulNBits", "GatherBlockQuantized"
_WEIGHTS, _SCALES, _ZEROS, _GROUPS = 1, 2, 3, 4


def has_quantized_blocks(model: Model) -> bool:
    """Whether a model has weights with a scale for each block, in its main graph."""
    return any(node.op_type in (_PRODUCT, _TABLE) for node in model.skeleton.graph.node)


def kept_quantized(model: Model, file: Path) -> tuple[list[KeptIntegers], KeptQuantized]:
    """Find the ops of a converted file that hold quantised weights of a model as floats.

    Args:
        model: The original.
        file: What it was converted into, with full weights.

    Returns:
        The integers for each op, and what is kept and what is not, in words.

    Raises:
        ModelError: The file is damaged.
    """
    floats = {name: np.array(values) for name, values in plain_weights(file)}
    kept: dict[str, KeptIntegers] = {}
    left: list[LeftAsFloats] = []
    products = 0
    for name, weights in _products(model):
        products += 1
        if isinstance(weights, str):
            left.append(LeftAsFloats(node=name, reason=weights))
            continue
        rows = weights.floats().ravel()
        ops = [op for op, values in floats.items() if op not in kept and np.array_equal(values, rows)]
        if not ops:
            left.append(LeftAsFloats(node=name, reason="MNN's converter merges its weights with what follows"))
        for op in ops[:1]:
            kept[op] = KeptIntegers(
                op, weights.bits, weights.size, weights.integers, weights.scales, -weights.zeros * weights.scales
            )
    bits = tuple(sorted({each.bits for each in kept.values()}))
    return list(kept.values()), KeptQuantized(products=products, kept=len(kept), bits=bits, left=tuple(left))


def _products(model: Model) -> Iterator[tuple[str, BlockWeights | str]]:
    """Names of nodes with such weights, and the weights, or why they cannot stay as they are."""
    view = view_model(model).main
    for index, node in view.nodes_of(_PRODUCT, _TABLE):
        name = node.name or node.output[0]
        if node.op_type == _TABLE:
            yield name, "MNN has no tables of quantised rows"
        else:
            yield name, _weights(NodeFacts(view, index, {"bits": 4}))


def _weights(node: NodeFacts) -> BlockWeights | str:
    """The weights of a product, or why MNN's quantisation cannot hold them."""
    names = [node.operand(position) for position in (_WEIGHTS, _SCALES, _ZEROS, _GROUPS)]
    arrays = [None if name is None else node.constant_value(name) for name in names]
    if any(array is None and name is not None for name, array in zip(names, arrays, strict=True)):
        return "its weights are computed"
    packed, scales, zeros, groups = arrays
    if packed is None or scales is None:
        return "it has no weights"
    shape = int(node.attribute("N")), int(node.attribute("K"))
    bits, size = int(node.attribute("bits")), int(node.attribute("block_size"))
    found = block_weights(packed, scales, zeros, groups, bits=bits, size=size, shape=shape)
    if not found.is_regular or size % LEAST_BLOCK:
        whole = f"{shape[1]} rows are no whole number of blocks of {size}"
        return whole if shape[1] % size else "its blocks are not rows that follow one another"
    return found
