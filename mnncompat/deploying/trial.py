"""Run an `.mnn` file once, to see what it gives: shapes and layouts of the outputs, memory, and which API runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnncompat import mnn
from mnncompat.parity.usual_sizes import usual_sizes
from mnncompat.results.failures import Failure
from mnncompat.results.file_info import TensorInfo, TrialRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mnncompat.mnn import Limits, MnnInput, SessionRan, Traced

    Shapes = Mapping[str, tuple[int, ...]]

_MOST_TRIES = 5


def try_out(
    file: Path, inputs: Sequence[MnnInput], outputs: Sequence[str], *, sizes: Sequence[Shapes], limits: Limits
) -> TrialRun:
    """Run a file on zeros, in both of MNN's APIs.

    Args:
        file: The `.mnn` file.
        inputs: Its inputs, as MNN's loader tells them.
        outputs: Names of its outputs.
        sizes: Shapes of the inputs to try in turn, until the file runs; none for those that MNN tells, with usual sizes
            for dynamic dimensions.
        limits: What each child process may use.

    Raises:
        RunnerError: MNN is not installed.
    """
    dynamic = any(-1 in each.shape for each in inputs)
    problem = ""
    first: Shapes | None = None
    for shapes in sizes or _usual(inputs):
        first = shapes if first is None else first
        feeds = {each.name: np.zeros(shapes[each.name], each.dtype) for each in inputs}
        traced = mnn.trace(file, feeds, wanted=outputs, held={}, limits=limits)
        if not isinstance(traced, Failure):
            return _told(file, shapes, outputs, traced, limits, chosen=dynamic and not sizes)
        problem = problem or traced.message
    return TrialRun(shapes=first or {}, problem=problem, session="not tried", chosen=dynamic and not sizes)


def _usual(inputs: Sequence[MnnInput]) -> Iterator[Shapes]:
    """Shapes without dynamic dimensions, the preferred ones first."""
    seen: list[Shapes] = []
    for choice in range(_MOST_TRIES):
        shapes = {
            each.name: tuple(_size(each.shape, axis, choice) for axis in range(len(each.shape))) for each in inputs
        }
        if shapes not in seen:
            seen.append(shapes)
            yield shapes


def _size(shape: tuple[int, ...], axis: int, choice: int) -> int:
    if shape[axis] >= 0:
        return shape[axis]
    if axis == 0:
        return 1
    usual = usual_sizes(tuple(size if size >= 0 else None for size in shape), axis)
    return usual[min(choice, len(usual) - 1)]


def _told(
    file: Path, shapes: Shapes, outputs: Sequence[str], traced: Traced, limits: Limits, *, chosen: bool
) -> TrialRun:
    feeds = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    ran = mnn.run(file, [feeds], output_names=outputs, session=[0], limits=limits)
    session = None if isinstance(ran, Failure) else ran.session
    given = tuple(
        TensorInfo(name=name, shape=value.shape, dtype=value.dtype.name, layout=traced.held[name].layout)
        for name, value in traced.values.items()
    )
    return TrialRun(
        shapes=dict(shapes),
        outputs=given,
        session=_in_session(session, ran),
        session_runs=session is not None and not session.problem and not session.untried,
        lost=() if session is None else session.lost,
        peak_bytes=traced.grown,
        chosen=chosen,
    )


def _in_session(session: SessionRan | None, ran: object) -> str:
    if session is None:
        return ran.message if isinstance(ran, Failure) else "not run"
    return session.problem or session.untried or "yes"
