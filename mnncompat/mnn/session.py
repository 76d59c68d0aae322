"""Run an `.mnn` file on arrays in a child process: in MNN's Module API, and in its Session API beside it."""

from __future__ import annotations

from dataclasses import replace
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from mnncompat.errors import UsageError
from mnncompat.mnn.arrays import read_arrays, write_arrays
from mnncompat.mnn.outcome import Held, MnnInput, MnnInterface, Ran, SessionRan, Traced
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import Answer, Performer, perform
from mnncompat.mnn.worker import FEEDS, INNER, OUTPUTS, SESSION
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mnncompat.mnn.options import Limits

    Feeds = Mapping[str, np.ndarray]

_WIDENED = frozenset({"bfloat16", "float16"})
_CITED = 120


def run(
    model: Path,
    feeds: Sequence[Feeds],
    *,
    output_names: Sequence[str],
    inner: Sequence[str] = (),
    session: Sequence[int] = (),
    limits: Limits,
    performer: Performer = perform,
) -> Ran | Failure:
    """Run a model on several feeds, one after the other, in one child process, with the Module API.

    The model is loaded once: feeds may differ in their shapes. Arrays are handed over in the dtype that MNN holds the
    input in (int64, int16, bool and their kin as int32, float64 and float16 as float32) and in the layout that it
    expects; outputs come back in the logical layout.

    Args:
        model: The `.mnn` file.
        feeds: Input name -> array, ONNX shapes and dtypes. All feeds have the same names.
        output_names: The outputs to compute, in this order.
        inner: Tensors inside the model that are computed of the first feed afterwards. The model is loaded again for
            that, so that the outputs are those of the model as it is used.
        session: Numbers of the feeds that are run in MNN's Session API as well, after all this. If that ends the
            process, the others are run once more without it.
        limits: What the child process may use, all feeds together.
        performer: Carries out the request.

    Returns:
        The outputs of every feed, or how it failed.

    Raises:
        UsageError: No feeds, no outputs, or feeds that differ in their names.
        RunnerError: MNN is not installed.
    """
    names = _names(feeds, output_names)
    stored = storable_arrays(feeds, names)
    if isinstance(stored, Failure):
        return stored
    with working_directory() as directory:
        write_arrays(directory / FEEDS, stored)
        arguments = {
            "model": str(model.resolve()),
            "inputs": names,
            "outputs": list(output_names),
            "inner": list(inner),
            "session": list(session),
            "feeds": len(feeds),
        }
        answer = performer("run", arguments, directory=directory, limits=limits)
        if isinstance(answer, Failure):
            if not session or answer.stage not in (Stage.SESSION, Stage.EXIT):
                return answer
            ran = run(model, feeds, output_names=output_names, inner=inner, limits=limits, performer=performer)
            killed = SessionRan(outputs=[], problem=answer.message)
            return ran if isinstance(ran, Failure) else replace(ran, session=killed)
        found = read_arrays(directory / OUTPUTS)
        inside = read_arrays(directory / INNER) if inner else []
        beside = _session_ran(answer, read_arrays(directory / SESSION), output_names) if session else None
    count = len(output_names)
    outputs = [dict(zip(output_names, found[at : at + count], strict=True)) for at in range(0, len(found), count)]
    held = dict(zip(inner, inside, strict=True))
    took = tuple(map(float, answer.values.get("seconds", ())))
    ran = Ran(outputs=outputs, inner=held, words=answer.words, seconds=answer.seconds, draw_seconds=took)
    return replace(ran, session=beside)


def _session_ran(answer: Answer, found: list[np.ndarray], output_names: Sequence[str]) -> SessionRan:
    """What the Session gave, as the worker tells it."""
    told: dict[str, Any] = answer.values["session"]
    problem = told["problem"]
    if problem and answer.words:
        problem += f"; MNN prints: {shorten('; '.join(answer.words.splitlines()), _CITED)}"
    names = [name for name in output_names if name not in told["missing"]]
    draws = (found[at : at + len(names)] for at in range(0, len(found), len(names) or 1))
    outputs = [dict(zip(names, arrays, strict=True)) for arrays in draws]
    return SessionRan(outputs=outputs, lost=tuple(told["lost"]), problem=problem, untried=told["untried"])


def trace(
    model: Path,
    feeds: Feeds,
    *,
    wanted: Sequence[str],
    held: Mapping[str, Held],
    limits: Limits,
    performer: Performer = perform,
) -> Traced | Failure:
    """Run a part of a model: from given tensors to wanted ones, whatever lies before or beside them.

    Args:
        model: The `.mnn` file.
        feeds: Inputs of the model or tensors inside its main graph -> array. Their producers are not run.
        wanted: Tensors of the main graph to compute.
        held: How MNN holds the tensors in `feeds` that are no inputs of the model, as an earlier trace told.
        limits: What the child process may use.
        performer: Carries out the request.

    Returns:
        The tensors, or how it failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    names = list(feeds)
    stored = storable_arrays([feeds], names)
    if isinstance(stored, Failure):
        return stored
    with working_directory() as directory:
        write_arrays(directory / FEEDS, stored)
        arguments = {
            "model": str(model.resolve()),
            "inputs": names,
            "outputs": list(wanted),
            "held": {name: held[name] for name in names if name in held},
        }
        answer = performer("trace", arguments, directory=directory, limits=limits)
        if isinstance(answer, Failure):
            return answer
        arrays = iter(read_arrays(directory / OUTPUTS))
    told = {name: Held(*each) for name, each in zip(wanted, answer.values["held"], strict=True) if each is not None}
    values = {name: next(arrays) for name in told}
    return Traced(values=values, held=told, seconds=answer.seconds, grown=answer.values.get("grown"))


def interface(model: Path, *, limits: Limits) -> MnnInterface | Failure:
    """Inputs and outputs of a model as MNN's loader reports them.

    Args:
        model: The `.mnn` file.
        limits: What the child process may use.

    Returns:
        Names, shapes, dtypes and layouts, or how loading failed.

    Raises:
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        answer = perform("inspect", {"model": str(model.resolve())}, directory=directory, limits=limits)
    if isinstance(answer, Failure):
        return answer
    inputs = (
        MnnInput(name=name, shape=tuple(shape), dtype=dtype, layout=layout)
        for name, shape, dtype, layout in answer.values["inputs"]
    )
    return MnnInterface(inputs=tuple(inputs), outputs=tuple(answer.values["outputs"]), version=answer.values["version"])


def _names(feeds: Sequence[Feeds], output_names: Sequence[str]) -> list[str]:
    if not feeds or not output_names:
        raise UsageError("nothing to run: no feeds or no outputs", hint="give at least one feed and one output")
    names = list(feeds[0])
    if any(set(feed) != set(names) for feed in feeds):
        raise UsageError("the feeds name different inputs", hint="give every feed the same inputs")
    return names


def storable_arrays(feeds: Sequence[Feeds], names: Sequence[str]) -> list[np.ndarray] | Failure:
    """The arrays of one feed after the other, as a file can hold them."""
    stored: list[np.ndarray] = []
    for feed in feeds:
        for name in names:
            array = _storable(feed[name], name)
            if isinstance(array, Failure):
                return array
            stored.append(array)
    return stored


def _storable(array: np.ndarray, name: str) -> np.ndarray | Failure:
    """The array in a dtype that a file can hold and MNN has a tensor for: float16 and bfloat16 are widened exactly."""
    import numpy as np

    if array.dtype.name in _WIDENED:
        return array.astype(np.float32)
    if array.dtype.kind in "biuf" and array.dtype.isbuiltin == 1:
        return array
    message = f"input {name!r} is {array.dtype.name}, for which MNN has no tensor"
    return Failure(kind=FailureKind.UNREPRESENTABLE, stage=Stage.START, message=message)
