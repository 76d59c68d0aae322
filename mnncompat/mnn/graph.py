"""The ops of an `.mnn` file, and the op types that the converter declares."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from mnncompat.mnn.outcome import MnnGraph, MnnOp
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import perform
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.mnn.options import Limits

_LISTED = re.compile(r"^Dump ONNX support Ops$(.*)^Total:", re.MULTILINE | re.DOTALL)


def dump(model: Path, *, limits: Limits) -> MnnGraph | Failure:
    """List the ops of a converted model, through the converter's JSON dump.

    Args:
        model: The `.mnn` file.
        limits: What the child process may use.

    Returns:
        The graph, or how dumping failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        answer = perform("dump", {"model": str(model.resolve())}, directory=directory, limits=limits)
    if isinstance(answer, Failure):
        return answer
    return MnnGraph(
        ops=tuple(_op(described) for described in answer.values["ops"]),
        outputs=tuple(answer.values["outputs"]),
        version=answer.values["version"],
    )


def _op(described: dict[str, Any]) -> MnnOp:
    return MnnOp(
        type=described["type"],
        name=described["name"],
        inputs=tuple(described["inputs"]),
        outputs=tuple(described["outputs"]),
        values=tuple(described["values"]),
        body=described["body"],
    )


def count_ops(model: Path, *, limits: Limits) -> dict[str, int] | Failure:
    """Count the ops of a converted model by their type.

    Args:
        model: The `.mnn` file.
        limits: What the child process may use.

    Returns:
        MNN op type -> number of ops, the most frequent first, ties by name; or how dumping failed. `Input` and `Const`
        are ops like any other; their sum is the number that `MnnGraph.ops` has.

    Raises:
        RunnerError: MNN is not installed.
    """
    graph = dump(model, limits=limits)
    if isinstance(graph, Failure):
        return graph
    counts = Counter(op.type for op in graph.ops)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def declared_ops(*, limits: Limits) -> tuple[str, ...] | Failure:
    """ONNX op types that the installed converter declares, sorted. Declared does not mean supported.

    Args:
        limits: What the child process may use.

    Returns:
        The names, or how listing failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        answer = perform("declare", {"framework": "ONNX"}, directory=directory, limits=limits)
    if isinstance(answer, Failure):
        return answer
    listed = _LISTED.search(answer.output)
    if listed is None:
        message = "MNN's converter did not list its ops"
        return Failure(kind=FailureKind.ERROR, stage=Stage.DUMP, message=message, words=answer.words)
    return tuple(sorted(listed[1].split()))
