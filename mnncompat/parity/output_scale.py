"""The absolute part of a tolerance follows the size of the output.

`FLOAT32` allows 1e-6 whatever the unit: outputs of 1e-6 might be wrong as a whole. Its absolute part is therefore at
most `SHARE` of the output's RMS, in the draw in which that is largest; a draw that is dead beside the others keeps
their tolerance. So is that of ``--tolerance``, which says the relative part alone; an absolute part that a user gives
is taken as it is.

Three things limit it. Numbers below the smallest normal float32 are flushed to zero by MNN. A float16 reference has
steps of 6e-8 around zero. And functions that saturate
are computed with an absolute error: `Sigmoid` of ONNX Runtime is off by up to 9e-8 where it is nearly 0 (16 % at 5e-7),
`Tanh` of MNN by 1.2e-7 around 0 (measured, 3.6.1, x86-64). Outputs that are such functions are not judged more finely
than `RESOLUTION`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.graph.operator_traits import CASTS, MOVES, RECURRENT
from mnncompat.graph.protos import is_onnx
from mnncompat.parity.float_limits import float_limits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import onnx

    from mnncompat.results.parity_report import Tolerance

SHARE = 1e-3
"""Largest absolute tolerance, as a share of the output's RMS: as large as the relative one."""
RESOLUTION = 2.5e-7
"""Smallest absolute tolerance of a function that saturates: twice the largest error that was measured."""
_SMALLEST = float(np.finfo(np.float32).tiny)
_SATURATING = frozenset(("Erf", "Gelu", "Mish", "Sigmoid", "Swish", "Tanh", *RECURRENT))
_CARRYING = MOVES | frozenset((*CASTS, "Concat"))
"""Their results are their operands' elements."""
_COMBINING = frozenset(("Add", "Mul", "Neg", "Sub"))
"""A gate times a value, one minus a gate."""


def fitted(tolerance: Tolerance, expected: Sequence[np.ndarray], *, is_coarse: bool = False) -> Tolerance:
    """The tolerance of an output of this size.

    Args:
        tolerance: One that follows it.
        expected: The output in all draws.
        is_coarse: Whether it is a function that saturates.
    """
    sizes = [_rms(each) for each in expected if each.dtype.kind == "f"]
    largest = max(sizes, default=0.0)
    if largest == 0:
        return replace(tolerance, scaled=False)
    steps = [float(float_limits(each.dtype).smallest_subnormal) for each in expected if each.dtype.kind == "f"]
    least = max(_SMALLEST, *(2 * each for each in steps), RESOLUTION if is_coarse else 0.0)
    return replace(tolerance, atol=min(tolerance.atol, max(SHARE * largest, least)), scaled=False)


def _rms(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)].astype(np.float64)
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0


def coarse_outputs(model: onnx.ModelProto, names: Collection[str]) -> frozenset[str]:
    """The outputs that are functions which saturate, or made of them without further sums.

    Args:
        model: The model.
        names: Outputs.
    """
    producers = {output: node for node in model.graph.node for output in node.output if output}
    constants = {each.name for each in model.graph.initializer}
    return frozenset(name for name in names if _is_coarse(name, producers, constants))


def _is_coarse(name: str, producers: Mapping[str, onnx.NodeProto], constants: Collection[str]) -> bool:
    pending, seen = [name], {name}
    while pending:
        node = producers.get(pending.pop())
        if node is None or not is_onnx(node):
            continue
        if node.op_type in _SATURATING:
            return True
        operands = _operands(node, producers, constants)
        pending += [each for each in operands if each not in seen]
        seen.update(operands)
    return False


def _operands(node: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto], constants: Collection[str]) -> list[str]:
    """The operands whose error a result has at its full size."""
    if node.op_type == "Concat":
        return list(node.input)
    if node.op_type in _CARRYING:
        return list(node.input[:1])
    if node.op_type not in _COMBINING:
        return []
    fixed = [
        each
        for each in node.input
        if each in constants or (each in producers and producers[each].op_type == "Constant")
    ]
    return [] if node.op_type == "Mul" and fixed else [each for each in node.input if each not in fixed]
