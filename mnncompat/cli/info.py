"""`mnncompat info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, emit, terminal_width, use_color
from mnncompat.cli.declared import argument, option
from mnncompat.cli.limits import CommandMemory, CommandTimeout, child_limits, parse_memory, parse_timeout
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.results.file_info import MnnFileInfo, OnnxFileInfo

_FORMATS = ("text", "json")
File = Annotated[Path, argument(metavar="FILE", help="An .mnn file or an ONNX model.", show_default=False)]
Original = Annotated[
    Path | None,
    option("--model", metavar="MODEL", help="The ONNX model that FILE.mnn was made of: its dtypes are told beside."),
]
InLock = Annotated[
    Path | None,
    option(
        "--lock",
        metavar="FILE",
        help="A mnncompat.lock: tells which of its models FILE.mnn was made of, and what was proven of it.",
    ),
]
RunShapes = Annotated[
    list[str] | None,
    option("--shape", metavar="NAME:SIZES", help="Run FILE.mnn at this size: `image:1,3,224,224`. Repeatable."),
]


def info(
    file: File,
    *,
    model: Original = None,
    lock: InLock = None,
    shape: RunShapes = None,
    output_format: Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")] = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Tell what is in a file, and how to feed and read it.

    Of an .mnn file: inputs and outputs with dtype, shape and layout, which of MNN's APIs runs it, ops, size, memory,
    and the first release that has its ops. It is loaded in MNN and run once on zeros. Of an ONNX model: opsets,
    operators, parameters, inputs and outputs; nothing is run.
    """
    if output_format not in _FORMATS:
        raise UsageError(f"unknown output format: {output_format}", hint=f"there are: {', '.join(_FORMATS)}")
    seconds = parse_timeout(timeout)
    begin_work(seconds=seconds, memory=parse_memory(memory_limit), runs=True, whole=True)
    if not _is_mnn(file) and lock is not None:
        raise UsageError("--lock is about an .mnn file", hint="mnncompat info FILE.mnn --lock mnncompat.lock")
    made = None if lock is None else _in_lock(file, lock)
    model = model or (None if made is None else made.model)
    found = _of_mnn(file, model, shape, seconds) if _is_mnn(file) else _of_onnx(file, model, shape)
    if made is not None and output_format == "text":
        emit(made.words)
    emit(_rendered(found, output_format), output_format)


class _Made(NamedTuple):
    """What a lock file says of a converted file.

    Attributes:
        words: For people.
        model: The ONNX model that it was made of, if it is there.
    """

    words: str
    model: Path | None


def _in_lock(file: Path, lock: Path) -> _Made:
    """The model of the lock file whose converted file has these ops.

    Raises:
        UsageError: There is no such file, or none of its models has.
    """
    from mnncompat.converting.lock_file import read_lock
    from mnncompat.converting.lock_record import op_names

    if not lock.is_file():
        raise UsageError(f"{lock}: no such file", hint="`mnncompat ci --update` writes it")
    names, size = op_names(file), file.stat().st_size
    for record in read_lock(lock).values():
        if (record.nodes, record.size) == (names, size):
            place = lock.parent / record.path
            told = f"ops and size are those of {record.path}: {record.verdict} with MNN {record.mnn}, says {lock}"
            return _Made(told, place if place.is_file() else None)
    raise UsageError(
        f"{lock} has no model whose file has the ops and the size of {file}", hint="`mnncompat ci --update` keeps them"
    )


def _is_mnn(file: Path) -> bool:
    return file.suffix == ".mnn"


def _of_mnn(file: Path, model: Path | None, shape: list[str] | None, seconds: float | None) -> MnnFileInfo:
    from mnncompat.deploying.mnn_facts import mnn_info
    from mnncompat.graph.model_file import load

    original = None if model is None else load(model)
    return mnn_info(file, model=original, shapes=options.parse_sizes(shape), limits=child_limits(seconds))


def _of_onnx(file: Path, model: Path | None, shape: list[str] | None) -> OnnxFileInfo:
    if model is not None or shape:
        raise UsageError(
            "--model and --shape are about an .mnn file", hint="mnncompat info FILE.mnn --model MODEL.onnx"
        )
    from mnncompat.deploying.onnx_facts import onnx_info
    from mnncompat.graph.model_file import load

    return onnx_info(load(file))


def _rendered(found: MnnFileInfo | OnnxFileInfo, output_format: str) -> str:
    if output_format == "json":
        from mnncompat.cli.render import to_json

        return to_json([found])
    from mnncompat.report.text.file_info import file_info_text

    return file_info_text(found, color=use_color(), width=terminal_width())
