"""Random nodes with parameters at which ONNX Runtime ends the process, so that it does not.

ONNX Runtime's Linux wheel is compiled with the assertions of the C++ library. RandomNormal with a scale of 0 or below,
and RandomUniform whose low is above its high, violate the preconditions of ``std::normal_distribution`` and
``std::uniform_real_distribution``, and the process is aborted. Measured with ONNX Runtime 1.32.0; RandomUniform with
low = high, a scale of 1e-40, and Bernoulli, Multinomial and Dropout with what is no probability run or are refused:

    RandomNormal, RandomNormalLike     scale <= 0    "Assertion '_M_stddev > _RealType(0)' failed", SIGABRT
    RandomUniform, RandomUniformLike   low > high    "Assertion '_M_a <= _M_b' failed", SIGABRT

A spread of 0 is the mean, which is what RandomUniform from the mean to the mean draws. The others have no meaning.

https://onnx.ai/onnx/operators/onnx__RandomNormal.html
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/cpu/generator/random.cc
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import ModelProto, NodeProto, helper

from mnncompat.graph.protos import attribute, is_onnx
from mnncompat.parity.model_copies import inlined_copy, nodes_of, parsed

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = ("Random",)
"""One of these is in the name of each operator that may be stated otherwise."""
_NORMAL, _UNIFORM = "RandomNormal", "RandomUniform"
"""What the operators' names begin with."""


def with_stated_noise(model: Path | str | bytes | ModelProto) -> ModelProto | None:
    """A copy of a model in which what draws from a spread of 0 states its mean.

    Args:
        model: A file, a serialised model or a model in memory; it is not changed, and external data is not read.

    Returns:
        The copy; None if there is nothing to change.

    Raises:
        ValueError: A node has a negative scale, or its low is above its high.
    """
    proto = parsed(model, RANDOM)
    if proto is None or not any(map(_draws, nodes_of(proto))):
        return None
    copy = inlined_copy(proto)
    changed = [_state(node) for node in nodes_of(copy) if _draws(node)]
    return copy if any(changed) else None


def _draws(node: NodeProto) -> bool:
    return is_onnx(node) and node.op_type.startswith((_NORMAL, _UNIFORM))


def _state(node: NodeProto) -> bool:
    """Have a node draw from its mean to its mean if it has a scale of 0; False if it stays as it is."""
    if node.op_type.startswith(_UNIFORM):
        low, high = attribute(node, "low", 0.0), attribute(node, "high", 1.0)
        if low > high:
            raise ValueError(_meaningless(node, f"low {low:g} is above high {high:g}"))
        return False
    mean, scale = attribute(node, "mean", 0.0), attribute(node, "scale", 1.0)
    if scale < 0:
        raise ValueError(_meaningless(node, f"its scale is {scale:g}"))
    if scale > 0:
        return False
    kept = [each for each in node.attribute if each.name not in ("mean", "scale")]
    stated = [helper.make_attribute("low", mean), helper.make_attribute("high", mean)]
    node.op_type = node.op_type.replace(_NORMAL, _UNIFORM)
    del node.attribute[:]
    node.attribute.extend([*kept, *stated])
    return True


def _meaningless(node: NodeProto, reason: str) -> str:
    return f"{node.op_type} {node.name!r} has no meaning, and would end the process: {reason}"
