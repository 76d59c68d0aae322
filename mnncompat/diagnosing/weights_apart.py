"""Weights in a file of their own, for a diagnosis of a large model: each run reads those that it needs.

A conversion of 349 MB takes two thirds of the processor time and 988 MB of memory instead of 1085, and a run of the
file takes half. What is found so is a finding about the usual file if its culprit is wrong alone as well, converted as
usual; otherwise all of it is done again with the usual file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.graph.model_file import serialised_bytes
from mnncompat.mnn import ConvertOptions
from mnncompat.parity.tolerance import OUTLIER
from mnncompat.parity.undetermined import random_outputs

if TYPE_CHECKING:
    from mnncompat.diagnosing.diagnose_options import DiagnoseOptions
    from mnncompat.diagnosing.draws import Chosen
    from mnncompat.graph.view import GraphView

LEAST = 100_000_000
"""Bytes of a model from which it is worth it."""
_WITH_BODIES = frozenset({"If", "Loop", "Scan"})
"""Operators whose bodies are cut out of the file."""


def may_lie_apart(view: GraphView, options: DiagnoseOptions) -> bool:
    """Whether a model may be converted so: it is large, and its file is neither kept nor run elsewhere nor cut."""
    skeleton = view.scope.proto
    if serialised_bytes(skeleton) < LEAST or options.converter != ConvertOptions():
        return False
    if options.where is not None or options.kept is not None or random_outputs(skeleton):
        return False
    return not any(node.op_type in _WITH_BODIES for node in view.nodes)


def is_plain(chosen: Chosen) -> bool:
    """Whether a draw fails beyond doubt."""
    return chosen.failure is None and any(each.error_ratio > OUTLIER for each in chosen.failing.values())
