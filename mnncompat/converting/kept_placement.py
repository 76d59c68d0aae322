"""Which ops of a converted file a backend leaves to others, as a lock file keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def fallbacks(file: Path, names: Sequence[str], release: str) -> tuple[str, ...]:
    """Ops that do not run on a backend: ``nnapi: MatMul /head/MatMul``, by backend and in the order of the file.

    Args:
        file: The converted file; if there is none, there are none.
        names: Of the backends.
        release: Of MNN, which decides what backends register.

    Raises:
        UsageError: The release has no such backend.
    """
    if not names or not file.exists():
        return ()
    from mnncompat.backends.placement import place
    from mnncompat.backends.registry import backend, require
    from mnncompat.mnn import read_graph

    graph = read_graph(file)
    found: list[str] = []
    for name in require(names):
        placement = place(graph, backend(name, release), lambda op: (op.name,))
        for each in placement.fallbacks:
            places = each.nodes or ("",) * each.count
            found += [f"{name}: {each.op_type} {node}".rstrip() for node in places]
    return tuple(found)
