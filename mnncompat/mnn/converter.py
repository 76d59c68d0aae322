"""ONNX to `.mnn`, in a child process; the file appears only when it is complete."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mnncompat.errors import OutputError
from mnncompat.files.destination import destination
from mnncompat.files.scratch import ScratchFile
from mnncompat.mnn.converter_log import SUCCESS, last_line
from mnncompat.mnn.outcome import Converted
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import Answer, Performer, perform
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.mnn.kept_integers import KeptIntegers
    from mnncompat.mnn.options import ConvertOptions, Limits

_WRITTEN = "converted.mnn"
_WEIGHTS = ".weight"
_SOURCE = "source"
_PARAMETERS = "kept.json"
NO_DATA: Mapping[str, Path] = MappingProxyType({})
"""A model without external data."""


def convert(
    model: Path,
    out: Path,
    *,
    options: ConvertOptions,
    limits: Limits,
    performer: Performer = perform,
    data: Mapping[str, Path] = NO_DATA,
    kept: Sequence[KeptIntegers] = (),
) -> Converted | Failure:
    """Convert an ONNX file.

    Conversions do not interfere: each has a working directory of its own, into which the converter also writes
    `.__convert_external_data.bin`. There the model and its external data are links in a folder that holds nothing else.

    Args:
        model: The ONNX file.
        out: Where the `.mnn` goes. It is replaced in one step, and unchanged when the conversion fails. Weights
            beyond 2 GB go beside it, into a file of the same name with `.weight` after it, as MNN expects them.
        options: Options of the converter.
        limits: What the child process may use.
        performer: Carries out the request.
        data: The files of the model's external data, by location: relative paths without `..`.
        kept: Weights that the file holds as these integers.

    Returns:
        The converted file, or how the conversion failed.

    Raises:
        OutputError: `out` cannot be written.
        ModelError: MNN's converter did not quantise an op of `kept`.
        RunnerError: MNN is not installed.
    """
    with working_directory() as directory:
        arguments = {**_staged(model, data, directory / _SOURCE), "argv": options.argv()}
        if kept:
            from mnncompat.mnn.kept_integers import parameters

            (directory / _PARAMETERS).write_text(parameters(kept))
            arguments["argv"] = [*options.argv(), f"--compressionParamsFile={_PARAMETERS}"]
        answer = performer("convert", arguments, directory=directory, limits=limits)
        if isinstance(answer, Failure):
            return answer
        if not answer.values["bytes"]:
            return _nothing_written(answer)
        if kept:
            from mnncompat.mnn.kept_integers import store

            store(directory / _WRITTEN, kept)
        weights = directory / (_WRITTEN + _WEIGHTS)
        if weights.exists():
            _publish(weights, out.with_name(out.name + _WEIGHTS))
        _publish(directory / _WRITTEN, out)
        return Converted(path=out, words=answer.words, seconds=answer.seconds)


def _staged(model: Path, data: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    """Links to the model and its data in a new folder: the model's path there, and the files that are to be read."""
    name = model.name if model.name not in data else f"{uuid.uuid4().hex}.onnx"  # a tensor may lie in the model's file
    linked = {folder / name: model.resolve(), **{folder / place: file.resolve() for place, file in data.items()}}
    for link, file in linked.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return {"model": str(folder / name), "readable": [str(file) for file in linked.values()]}


def _nothing_written(answer: Answer) -> Failure:
    """The converter returns the same in every case: a refusal differs from a silent failure by what it printed."""
    if answer.words and SUCCESS not in answer.output:
        message = f"MNN's converter refuses the model: {last_line(answer.words)}"
        return Failure(kind=FailureKind.REFUSED, stage=Stage.CONVERT, message=message, words=answer.words)
    message = "MNN's converter wrote no file and gave no reason"
    return Failure(kind=FailureKind.NO_FILE, stage=Stage.CONVERT, message=message, words=answer.words)


def _publish(source: Path, target: Path) -> None:
    """Move a file into place in one step, also from another file system."""
    place = destination(target)
    try:
        with ScratchFile(place.parent) as part:
            shutil.move(source, part.path)
            part.path.replace(place)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="check that the folder exists, that it may be written to and that there is space",
        ) from error
