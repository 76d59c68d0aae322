"""ONNX to `.mnn`, in a child process; the file appears only when it is complete."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

from mnncompat.errors import OutputError
from mnncompat.mnn.converter_log import SUCCESS, last_line
from mnncompat.mnn.outcome import Converted
from mnncompat.mnn.process import working_directory
from mnncompat.mnn.request import Answer, Performer, perform
from mnncompat.results.failures import Failure, FailureKind, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from mnncompat.mnn.options import ConvertOptions, Limits

_WRITTEN = "converted.mnn"
_WEIGHTS = ".weight"


def convert(
    model: Path, out: Path, *, options: ConvertOptions, limits: Limits, performer: Performer = perform
) -> Converted | Failure:
    """Convert an ONNX file.

    External data is read from the folder of `model`. Conversions do not interfere: each has a working directory of its
    own, into which the converter also writes `.__convert_external_data.bin`.

    Args:
        model: The ONNX file.
        out: Where the `.mnn` goes. It is replaced in one step, and unchanged when the conversion fails. Weights
            beyond 2 GB go beside it, into a file of the same name with `.weight` after it, as MNN expects them.
        options: Options of the converter.
        limits: What the child process may use.
        performer: Carries out the request.

    Returns:
        The converted file, or how the conversion failed.

    Raises:
        OutputError: `out` cannot be written.
        RunnerError: MNN is not installed.
    """
    arguments = {"model": str(model.resolve()), "argv": options.argv()}
    with working_directory() as directory:
        answer = performer("convert", arguments, directory=directory, limits=limits)
        if isinstance(answer, Failure):
            return answer
        if not answer.values["bytes"]:
            return _nothing_written(answer)
        weights = directory / (_WRITTEN + _WEIGHTS)
        if weights.exists():
            _publish(weights, out.with_name(out.name + _WEIGHTS))
        _publish(directory / _WRITTEN, out)
        return Converted(path=out, words=answer.words, seconds=answer.seconds)


def _nothing_written(answer: Answer) -> Failure:
    """The converter returns the same in every case: a refusal differs from a silent failure by what it printed."""
    if answer.words and SUCCESS not in answer.output:
        message = f"MNN's converter refuses the model: {last_line(answer.words)}"
        return Failure(kind=FailureKind.REFUSED, stage=Stage.CONVERT, message=message, words=answer.words)
    message = "MNN's converter wrote no file and gave no reason"
    return Failure(kind=FailureKind.NO_FILE, stage=Stage.CONVERT, message=message, words=answer.words)


def _publish(source: Path, target: Path) -> None:
    """Move a file into place in one step, also from another file system."""
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        try:
            shutil.move(source, part)
            os.replace(part, target)  # noqa: PTH105 - equal, and more explicit
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}",
            hint="check that the folder exists, that it may be written to and that there is space",
        ) from error
