"""Small models to mutate: the examples of the rewrites, and what the onnx wheel ships."""

from __future__ import annotations

from functools import cache

from mnncompat.probe.corpora import CORPORA
from mnncompat.rewrites.index import all_rewrites

_SHIPPED = ("simple", "operator", "converted")
_LARGEST_BYTES = 64 * 1024


@cache
def examples() -> tuple[bytes, ...]:
    """The models that document the rewrites; built in half a second."""
    models = (example.build() for rewrite in all_rewrites() for example in rewrite.examples())
    return tuple(model.SerializeToString() for model in models)


@cache
def corpus() -> tuple[bytes, ...]:
    """The examples, the node tests of the onnx wheel and its exported layers; building them takes seconds."""
    shipped = (case.model for name in (*_SHIPPED, "node", "node-const") for case in CORPORA[name]())
    serialized = (each if isinstance(each, bytes) else each.SerializeToString() for each in shipped)
    return (*examples(), *(data for data in serialized if len(data) <= _LARGEST_BYTES))
