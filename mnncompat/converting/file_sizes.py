"""What a model takes on disk, and how much of it are integer weights that stand for floats."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from onnx import TensorProto

from mnncompat.graph.model_file import serialised_bytes
from mnncompat.graph.payloads import is_external
from mnncompat.graph.stored_tensors import tensors
from mnncompat.inference.model_view import view_model
from mnncompat.results.outcomes import IntegerWeights
from mnncompat.support.size_conditions import INTEGER_BITS, integer_weights

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model

_FLOAT_BITS = 32
_MOSTLY = 0.8
"""Share of the bytes that all weights would take more as float32 from which on a file counts as holding floats."""


def source_bytes(model: Model) -> int:
    """Size of a model with its external data, in bytes; of one in memory, serialised."""
    if model.path is None:
        return serialised_bytes(model.skeleton)
    return sum(file.stat().st_size for file in (model.path, *_external_files(model)) if file.is_file())


def _external_files(model: Model) -> set[Path]:
    assert model.path is not None  # noqa: S101 - a model in memory has none
    own = [each for each in tensors(model.skeleton) if is_external(each)]
    stored = [[(entry.key, entry.value) for entry in each.external_data] for each in own]
    references = [*stored, *model.external.values()]
    return {model.path.parent / value for each in references for key, value in each if key == "location"}


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
