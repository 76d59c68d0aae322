"""The mean of an image as MNN computes it in float16: each element is divided, and added to a sum that is rounded.

A sum is a multiple of its last bit, so that adding an element and rounding adds the element rounded to that bit. The
last bit changes slowly: it is that of the sum of all elements before a block of neighbours, and what is added up in a
block is the sum of elements rounded to it.

Source: `poolingAvg` in `CPUPool.hpp` of MNN 3.6.1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from mnncompat.diagnosing.half_precision.emitting import Emitter

_ONE_BY_ONE = 256
"""Places up to which each sum is rounded."""
_BLOCK = 64
_BITS, _LEAST_BIT = 10, 2.0**-24
_ROUNDS_FLOAT32 = 1.5 * 2**23
"""A float32 has no bits below 1 at this size."""
_PASSES = 2


def mean_of_places(emit: Emitter, rows: str, places: int, width: int) -> str:
    """The mean of rows.

    Args:
        emit: Of the simulation.
        rows: (places, width), rounded to float16.
        places: How many rows.
        width: Elements of each.

    Returns:
        (width,), not rounded yet.
    """
    share = emit.number(float(np.float16(1 / places)))
    divided = emit.rounded(emit.op("Mul", rows, share))
    block = max(each for each in range(1, _BLOCK + 1) if places % each == 0)
    if places <= _ONE_BY_ONE or block == 1:
        return _one_by_one(emit, divided, width)
    return _in_blocks(emit, divided, [places // block, block, width])


def _in_blocks(emit: Emitter, rows: str, shape: list[int]) -> str:
    blocks, at_once, width = shape
    apart = emit.reshaped(rows, shape)
    before = emit.constant(np.tril(np.ones((blocks, blocks))) - 0.5 * np.eye(blocks))
    found = apart
    for _ in range(_PASSES):
        sums = emit.reshaped(emit.reduce("ReduceSum", found, [1], keep=False), [blocks, width])
        reached = emit.op("Abs", emit.op("MatMul", before, sums))
        last = _last_bit(emit, emit.reshaped(reached, [blocks, 1, width]))
        large = emit.op("Mul", last, emit.number(_ROUNDS_FLOAT32))
        found = emit.op("Sub", emit.op("Add", apart, large), large)
    return emit.reduce("ReduceSum", emit.reshaped(found, [blocks * at_once, width]), [0], keep=False)


def _last_bit(emit: Emitter, value: str) -> str:
    """The weight of the last bit of positive numbers in float16."""
    least = emit.op("Max", value, emit.number(_LEAST_BIT * 2**_BITS))
    power = emit.op("Floor", emit.op("Div", emit.op("Log", least), emit.number(math.log(2))))
    return emit.op("Pow", emit.number(2.0), emit.op("Sub", power, emit.number(float(_BITS))))


def _one_by_one(emit: Emitter, rows: str, width: int) -> str:
    """The sum of rows, rounded to float16 after each of them."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["before", "row"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Cast", ["half"], ["after"], to=TensorProto.FLOAT),
        ],
        "rounded_sum",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [width]) for name in ("before", "row")],
        [helper.make_tensor_value_info("after", TensorProto.FLOAT, [width])],
    )
    return emit.op("Scan", emit.constant(np.zeros(width)), rows, body=body, num_scan_inputs=1)
