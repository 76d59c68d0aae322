"""`mnncompat snippet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, emit, note
from mnncompat.cli.data_options import named_values
from mnncompat.cli.declared import argument, option
from mnncompat.cli.device_options import PRECISIONS
from mnncompat.cli.info import Original, RunShapes
from mnncompat.cli.limits import CommandMemory, CommandTimeout, child_limits, parse_limits, parse_timeout
from mnncompat.errors import UsageError

Prepared = Annotated[
    list[str] | None,
    option(
        "--preprocess",
        metavar="NAME=STEPS",
        help="The code prepares images for this input, with MNN's ImageProcess: `image=resize:224,crop:224,scale:255`; "
        "as for `mnncompat verify`, which proves it. [default: what the configuration says of --model]",
    ),
]
_APIS = ("module", "session")
_LANGUAGES = ("python", "cpp", "kotlin", "jni", "objc")


def snippet(  # noqa: PLR0913 - options
    file: Annotated[Path, argument(metavar="FILE.mnn", help="The converted file.", show_default=False)],
    *,
    language: Annotated[
        str, option("--language", metavar="NAME", help="python, cpp, kotlin, jni (behind Kotlin) or objc.")
    ] = "python",
    api: Annotated[
        str | None,
        option("--api", metavar="NAME", help="module or session. [default: a session where one runs the file]"),
    ] = None,
    precision: Annotated[str, option("--precision", metavar="NAME", help="high, normal or low.")] = "high",
    threads: Annotated[int, option("--threads", min=1, metavar="N", help="Threads of MNN.")] = 4,
    preprocess: Prepared = None,
    model: Original = None,
    shape: RunShapes = None,
    output: Annotated[
        Path | None, option("-o", "--output", metavar="FILE", help="Write the code there. [default: standard output]")
    ] = None,
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Write code that loads FILE.mnn, feeds it in its layouts and dtypes, runs it and reads its outputs.

    The file is loaded in MNN and run once on zeros, to see which of MNN's APIs runs it and what it gives.
    """
    _require_known(language, precision, api, output)
    begin_work(**parse_limits(timeout, memory_limit), runs=True, whole=True)
    from mnncompat.deploying.code.interface import Api
    from mnncompat.deploying.mnn_facts import mnn_info
    from mnncompat.deploying.snippet import Language
    from mnncompat.deploying.snippet import snippet as written
    from mnncompat.graph.model_file import load

    original = None if model is None else load(model)
    shapes = options.parse_sizes(shape)
    found = mnn_info(file, model=original, shapes=shapes, limits=child_limits(parse_timeout(timeout)))
    wanted = None if api is None else Api(api)
    steps = named_values("--preprocess", preprocess, "NAME=STEPS") or configured_steps(model)
    into = Language(language)
    _put(written(found, into, api=wanted, precision=precision, threads=threads, preprocess=steps), output)


def configured_steps(model: Path | None) -> dict[str, str]:
    """What the configuration says of images for a model, by input."""
    from mnncompat.cli.project import project

    configured = None if model is None else project()
    if configured is None or model is None:
        return {}
    stated = configured.settings("convert", model, None).get("preprocess") or {}
    return named_values("--preprocess", stated, "NAME=STEPS") if isinstance(stated, list) else dict(stated)


def _require_known(language: str, precision: str, api: str | None, output: Path | None) -> None:
    """Check the words, and that the code can be written."""
    _require_one_of("--language", language, _LANGUAGES)
    _require_one_of("--precision", precision, PRECISIONS)
    if api is not None:
        _require_one_of("--api", api, _APIS)
    if output is not None:
        from mnncompat.cli.output_paths import require_report

        require_report(output, "--output")


def _require_one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UsageError(f"unknown {name.removeprefix('--')}: {given}", hint=f"there are: {', '.join(known)}")


def _put(code: str, output: Path | None) -> None:
    if output is None:
        emit(code)
        return
    from mnncompat.graph.atomic_files import write_atomically

    write_atomically(output, code.encode())
    note(f"wrote {output}")
