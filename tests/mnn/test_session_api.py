"""MNN's Session API in the child process, beside the Module API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits, request
from mnncompat.results.failures import Failure, FailureKind, Stage

SUM = "agraph (float[N, 3] x, int64[1, 3] n) => (float[N, 3] y) { f = Cast<to = 1>(n) y = Add(x, f) }"


def converted(model: Path, limits: Limits) -> Path:
    result = mnn.convert(model, model.with_suffix(".mnn"), options=ConvertOptions(), limits=limits)
    assert isinstance(result, mnn.Converted), result
    return result.path


def feeds(*batches: int) -> list[dict[str, np.ndarray]]:
    whole = np.array([[1, 2, 3]], np.int64)
    return [{"x": np.arange(3 * batch, dtype=np.float32).reshape(batch, 3), "n": whole} for batch in batches]


def test_the_draws_that_are_asked_for_at_their_sizes(onnx_file: Callable[..., Path], limits: Limits) -> None:
    given = feeds(1, 2, 4)
    ran = mnn.run(converted(onnx_file(SUM), limits), given, output_names=["y"], session=[2, 0], limits=limits)
    assert isinstance(ran, mnn.Ran), ran
    assert ran.session is not None
    assert (ran.session.lost, ran.session.problem, ran.session.untried) == ((), "", "")
    for found, draw in zip(ran.session.outputs, (2, 0), strict=True):
        np.testing.assert_array_equal(found["y"], given[draw]["x"] + given[draw]["n"])


def test_a_session_that_ends_the_process_takes_nothing_with_it(onnx_file: Callable[..., Path], limits: Limits) -> None:
    asked: list[list[int]] = []

    def performer(task: str, arguments: Mapping[str, Any], /, **where: Any) -> request.Answer | Failure:
        asked.append(arguments["session"])
        if arguments["session"]:
            return Failure(kind=FailureKind.CRASH, stage=Stage.SESSION, message="SIGSEGV while running in a Session")
        return request.perform(task, arguments, **where)

    file = converted(onnx_file(SUM), limits)
    ran = mnn.run(file, feeds(1), output_names=["y"], session=[0], limits=limits, performer=performer)
    assert isinstance(ran, mnn.Ran), ran
    assert asked == [[0], []]
    assert ran.session is not None
    assert (ran.session.outputs, ran.session.problem) == ([], "SIGSEGV while running in a Session")
    np.testing.assert_array_equal(ran.outputs[0]["y"], [[1, 3, 5]])


def test_a_failure_of_the_module_api_is_no_failure_of_the_session(limits: Limits, tmp_path: Path) -> None:
    (tmp_path / "empty.mnn").write_bytes(b"")
    failure = mnn.run(tmp_path / "empty.mnn", feeds(1), output_names=["y"], session=[0], limits=limits)
    assert isinstance(failure, Failure)
    assert failure.stage is Stage.LOAD
