"""What `onnx.defs` says about an operator: its versions, the opsets that mean them, the types it admits."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
from onnx import defs

OLDEST = 7
"""The oldest opset of the corpus: what PyTorch 0.4 and its contemporaries wrote."""

_WEIGHTS = {
    opset: weight
    for weight, opsets in {
        14: (11, 13, 17),
        12: (18,),
        8: (12,),
        7: (16,),
        6: (9, 14, 20),
        5: (15, 19, 21),
        4: (10, 22),
        2: (7, 8, 23, 24),
        1: (25,),
        0.5: (26, 27),
    }.items()
    for opset in opsets
}
_FUTURE_WEIGHT = 0.1


def opset_weight(opset: int) -> float:
    """How often an opset is drawn: the defaults of the exporters' releases weigh most (11, 13, 17, 18)."""
    return _WEIGHTS.get(opset, _FUTURE_WEIGHT)


@cache
def newest() -> int:
    """The newest opset of the installed onnx."""
    return int(defs.onnx_opset_version())


@cache
def schema_at(op: str, opset: int) -> defs.OpSchema | None:
    """The schema that an opset means by an op type, None where it has none or has deprecated it."""
    try:
        schema = defs.get_schema(op, opset, "")
    except defs.SchemaError:
        return None
    return None if schema.deprecated else schema


@cache
def versions(op: str, oldest: int = OLDEST, latest: int | None = None) -> dict[int, tuple[int, ...]]:
    """The versions of an op type: `since_version` -> the opsets that mean it, within the bounds, both inclusive."""
    found: dict[int, list[int]] = {}
    for opset in range(max(oldest, OLDEST), min(latest or newest(), newest()) + 1):
        schema = schema_at(op, opset)
        if schema is not None:
            found.setdefault(schema.since_version, []).append(opset)
    return {since: tuple(opsets) for since, opsets in found.items()}


@cache
def admitted(op: str, opset: int, position: int = 0) -> frozenset[str]:
    """Names of the numpy dtypes that an op type admits for an input (the last formal input is repeated if variadic)."""
    schema = schema_at(op, opset)
    if schema is None or not schema.inputs:
        return frozenset()
    formal = schema.inputs[min(position, len(schema.inputs) - 1)]
    return frozenset(name for each in formal.types if (name := _dtype_name(each)) is not None)


@cache
def attribute_names(op: str, opset: int) -> frozenset[str]:
    """Names of the attributes that an op type has at an opset."""
    schema = schema_at(op, opset)
    return frozenset() if schema is None else frozenset(schema.attributes)


@cache
def _dtype_name(type_string: str) -> str | None:
    if not type_string.startswith("tensor("):
        return None
    element = type_string[len("tensor(") : -1]
    number = getattr(onnx.TensorProto, element.upper(), None)
    if number is None:
        return None
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    return dtype.name if dtype.isbuiltin == 1 and dtype.kind in "biuf" else None
