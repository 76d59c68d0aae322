"""Where each op of a converted file runs on backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.backends.placement import where_each_runs
from mnncompat.backends.registry import backend
from mnncompat.support.releases import installed_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.mnn import MnnGraph

PLACES = ("direct", "lowered", "at_resize", "control_flow", "on_cpu", "nowhere")
"""In the order of the numbers below; as attributes of `Placement`."""


def placed(graph: MnnGraph, names: Sequence[str]) -> dict[str, list[int]]:
    """Place the ops of a file on backends.

    Args:
        graph: The file's.
        names: The backends.

    Returns:
        Backend -> for each op its position in `PLACES`; -1 for inputs and constants, which are no ops.
    """
    version = installed_version()
    if version is None:
        return {}
    found = {}
    for name in names:
        where = where_each_runs(graph, backend(name, version))
        found[name] = [PLACES.index(where[at].value) if at in where else -1 for at in range(len(graph.ops))]
    return found
