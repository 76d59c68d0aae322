"""Sizes of a converted file, and how much of a model are integer weights that stand for floats."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any

from onnx import TensorProto, ValueInfoProto

from mnncompat.errors import ModelError
from mnncompat.graph.atomic_files import weights_of
from mnncompat.graph.file_bytes import source_bytes
from mnncompat.graph.tensor_values import element_dtype
from mnncompat.inference.model_view import view_model
from mnncompat.results.file_info import FileInterface, TensorInfo
from mnncompat.results.outcomes import IntegerWeights
from mnncompat.support.size_conditions import INTEGER_BITS, integer_weights

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.graph.model_file import Model

_FLOAT_BITS = 32
_MOSTLY = 0.8
"""Share of the bytes that all weights would take more as float32 from which on a file counts as holding floats."""


def sizes_of(model: Model, file: Path, *, grows: bool) -> dict[str, Any]:
    """Sizes of a model and of the file that it was converted into, as `ConvertResult` has them.

    Args:
        model: The model.
        file: The converted file.
        grows: Whether quantised weights become floats.
    """
    after = sum(each.stat().st_size for each in (file, weights_of(file)) if each.exists())
    before = source_bytes(model)
    return {
        "bytes": after,
        "source_bytes": before,
        "became_floats": weights_that_became_floats(model, before, after) if grows else None,
        **_told(model, file),
    }


def _told(model: Model, file: Path) -> dict[str, Any]:
    """The ops of a file, the most frequent first, and how it is fed."""
    from mnncompat import mnn
    from mnncompat.mnn.op_history import least_release

    try:
        graph = mnn.read_graph(file)
    except ModelError:
        return {"ops": {}, "interface": None}
    counts = Counter(op.type for op in graph.ops)
    declared = {each.name: _dtype(each) for each in model.skeleton.graph.input}
    inputs = tuple(
        TensorInfo(
            name=each.name,
            shape=tuple(size if size >= 0 else None for size in each.shape),
            dtype=each.dtype,
            layout=each.layout,
            original=declared.get(each.name, ""),
        )
        for each in graph.inputs
    )
    interface = FileInterface(inputs=inputs, least_release=least_release(counts).release)
    return {"ops": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), "interface": interface}


def _dtype(value: ValueInfoProto) -> str:
    """Numpy's name of an input's dtype; empty where it has none."""
    try:
        return str(element_dtype(value.type.tensor_type.elem_type).name)
    except (KeyError, TypeError):
        return ""


def weights_that_became_floats(model: Model, before: int, after: int) -> IntegerWeights | None:
    """The integer weights of a model, if its converted file has grown as if they were float32; else None.

    Args:
        model: The original.
        before: Its size in bytes.
        after: Size of the converted file.
    """
    found = {tensor.name: tensor for tensor in integer_weights(view_model(model).graphs())}
    bits = sum(INTEGER_BITS[each.data_type] * prod(each.dims) for each in found.values())
    more = sum((_FLOAT_BITS - INTEGER_BITS[each.data_type]) * prod(each.dims) for each in found.values())
    if not bits or 8 * (after - before) < _MOSTLY * more:
        return None
    kinds = sorted({TensorProto.DataType.Name(each.data_type).lower() for each in found.values()})
    return IntegerWeights(kinds=tuple(kinds), bytes=bits // 8)
