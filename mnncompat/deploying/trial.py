"""Run an `.mnn` file once, to see what it gives: shapes and layouts of the outputs, memory, and which API runs it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnncompat import mnn
from mnncompat.parity.usual_sizes import is_state, usual_sizes
from mnncompat.results.failures import Failure
from mnncompat.results.file_info import TensorInfo, TrialRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mnncompat.mnn import Limits, MnnInput, SessionRan, Traced

    Shapes = Mapping[str, tuple[int, ...]]
    Dtypes = Mapping[str, str]

_MOST_TRIES = 6
_EQUAL = (16, 64, 32, 8, 128, 224, 1)
"""Sizes that all dynamic dimensions are given then: those of several inputs often are one length."""


class Sizes(NamedTuple):
    """Sizes at which a file may run.

    Attributes:
        shapes: Input -> its shape.
        chosen: True if some were chosen, and nothing but the file says them.
        of: Name of the ONNX model beside the file that says them; empty if it is not asked.
    """

    shapes: Shapes
    chosen: bool = False
    of: str = ""


def try_out(file: Path, outputs: Sequence[str], *, sizes: Iterable[Sizes], dtypes: Dtypes, limits: Limits) -> TrialRun:
    """Run a file on zeros, in both of MNN's APIs.

    Args:
        file: The `.mnn` file.
        outputs: Names of its outputs.
        sizes: What to try in turn, until the file runs.
        dtypes: Input -> dtype that MNN holds it in.
        limits: What each child process may use.

    Raises:
        RunnerError: MNN is not installed.
    """
    problem = ""
    first: Sizes | None = None
    for each in sizes:
        first = first or each
        feeds = {name: np.zeros(each.shapes[name], dtype) for name, dtype in dtypes.items()}
        traced = mnn.trace(file, feeds, wanted=outputs, held={}, limits=limits)
        if not isinstance(traced, Failure):
            return _told(file, each, outputs, traced, limits)
        problem = problem or traced.message
    shapes, chosen = ({}, False) if first is None else (first.shapes, first.chosen)
    return TrialRun(shapes=shapes, problem=problem, session="not tried", session_tried=False, chosen=chosen)


def usual_shapes(inputs: Sequence[MnnInput], given: Shapes) -> Iterator[Shapes]:
    """Shapes without dynamic dimensions, the preferred ones first.

    Args:
        inputs: Of a file, as MNN's loader tells them.
        given: Input -> its shape, of some of them; the others are tried with the same sizes first.
    """
    declared = {each.name: given.get(each.name, each.shape) for each in inputs}
    pairs = [pair for each in inputs for pair in zip(each.shape, declared[each.name], strict=False)]
    asked = dict.fromkeys(size for told, size in pairs if told < 0 <= size)
    by_place = [partial(_size, choice=choice) for choice in range(_MOST_TRIES)]
    equal = [partial(_equal, size=size) for size in dict.fromkeys((*asked, *_EQUAL))]
    seen: list[Shapes] = []
    first = len(asked)
    for choose in (*equal[:first], by_place[0], *equal[first : first + 1], *by_place, *equal):
        shapes = {name: tuple(choose(shape, axis) for axis in range(len(shape))) for name, shape in declared.items()}
        if shapes not in seen:
            seen.append(shapes)
            yield shapes


def _equal(shape: tuple[int, ...], axis: int, size: int) -> int:
    if shape[axis] >= 0:
        return shape[axis]
    return size if axis else 1


def _size(shape: tuple[int, ...], axis: int, choice: int) -> int:
    if shape[axis] >= 0:
        return shape[axis]
    told = tuple(size if size >= 0 else None for size in shape)
    if axis == 0 or is_state(told, axis):
        return 1
    usual = usual_sizes(told, axis)
    return usual[min(choice, len(usual) - 1)]


def _told(file: Path, sizes: Sizes, outputs: Sequence[str], traced: Traced, limits: Limits) -> TrialRun:
    feeds = {name: np.zeros(shape, np.float32) for name, shape in sizes.shapes.items()}
    ran = mnn.run(file, [feeds], output_names=outputs, session=[0], limits=limits)
    session = None if isinstance(ran, Failure) else ran.session
    given = tuple(
        TensorInfo(name=name, shape=value.shape, dtype=value.dtype.name, layout=traced.held[name].layout)
        for name, value in traced.values.items()
    )
    return TrialRun(
        shapes=dict(sizes.shapes),
        outputs=given,
        session=_in_session(session, ran),
        session_runs=session is not None and not session.problem and not session.untried,
        session_tried=session is None or not session.untried,
        lost=() if session is None else session.lost,
        peak_bytes=traced.grown,
        chosen=sizes.chosen,
        sizes_of=sizes.of,
    )


def _in_session(session: SessionRan | None, ran: object) -> str:
    if session is None:
        return ran.message if isinstance(ran, Failure) else "not run"
    return session.problem or session.untried or "yes"
