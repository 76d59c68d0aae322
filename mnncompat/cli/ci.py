"""`mnncompat ci`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mnncompat.cli import EXIT_ERROR, Ended, options
from mnncompat.cli.console import be_quiet, collected, emit, note
from mnncompat.cli.declared import option
from mnncompat.cli.limits import MemoryLimit, Timeout
from mnncompat.cli.report_options import Quiet
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.converting.lock_record import Record
    from mnncompat.converting.pipeline import Conversion
    from mnncompat.graph.model_file import Model

Lock = Annotated[Path, option("--lock", metavar="FILE", help="The lock file.")]
Update = Annotated[bool, option("--update", help="Write what is measured today to the lock file, and succeed.")]
WithTime = Annotated[bool, option("--time", help="Measure the latency as well, against the model as it is.")]
Format = Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")]
_FORMATS = ("text", "json")
_LOCK = Path("mnncompat.lock")
_CONVERTER = ("fp16", "weight_bits", "target_version", "optimize_level", "external_weights", "gelu_approximation")
"""Options of the converter that make another file."""


def ci(  # noqa: PLR0913 - options
    models: options.Models = None,
    *,
    search: options.SearchOptions = options.ALL_MODELS,
    lock: Lock = _LOCK,
    update: Update = False,
    time: WithTime = False,
    memory_limit: MemoryLimit = None,
    timeout: Timeout = None,
    output_format: Format = "text",
    quiet: Quiet = False,
) -> None:
    """Convert and prove every model again, and fail if one has become worse than the lock file says.

    Models and their settings are those of `mnncompat convert`; nothing is published. What counts as worse: the
    verdict, the size, ops that were not there, operators that the proof does not exercise any more, the Session API,
    findings of level error, outputs, and a model that computes something else. Exit status 1 if something is worse or a
    model is not in the file; 2 if a model could not be worked on.
    """
    if output_format not in _FORMATS:
        raise UsageError(f"unknown output format: {output_format}", hint=f"there are: {', '.join(_FORMATS)}")
    be_quiet(quiet=quiet)
    from mnncompat.converting.lock_file import lock_text, read_lock
    from mnncompat.graph.atomic_files import require_writable

    before = read_lock(lock)
    if update:
        require_writable(lock)
    asked = {"time": time, "quiet": quiet, "memory_limit": memory_limit, "timeout": timeout, "exclude": search.exclude}
    given = {name: value for name, value in asked.items() if value is not None}
    now, failed = _measured(search.models(models) if models else None, given, lock)
    if update and not failed:
        from mnncompat.graph.atomic_files import write_atomically

        write_atomically(lock, lock_text({**_kept(before, lock), **now}).encode())
        note(f"wrote {lock}")
    worse = _reported(before, now, output_format, update=update)
    if failed:
        raise Ended(EXIT_ERROR)
    if worse and not update:
        raise Ended(1)


def _measured(paths: Sequence[Path] | None, asked: Mapping[str, Any], lock: Path) -> tuple[dict[str, Record], bool]:
    """Records of the models, and whether one could not be worked on."""
    from mnncompat.cli.convert import convert, converting_by
    from mnncompat.cli.per_model import call

    found: dict[str, Record] = {}

    def keep(model: Model, _out: Path | None, gate: GateOptions) -> Conversion:
        path = _name(Path(model.name), lock)
        result, found[path] = _record(model, gate, path)
        return result

    failed = False
    with converting_by(keep), collected():
        values = {"models": None if paths is None else list(paths), "dry_run": True, **asked}
        try:
            call(convert, values, [f"--{name.replace('_', '-')}" for name in values], every=True)
        except Ended as ended:
            failed = ended.status == EXIT_ERROR
    return found, failed


def _record(model: Model, gate: GateOptions, path: str) -> tuple[Conversion, Record]:
    """Convert a model in a temporary folder, and what to keep of that."""
    from mnncompat.converting.lock_record import record_of
    from mnncompat.converting.pipeline import convert_model
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.support.releases import installed_version

    with ScratchFolder() as folder:
        file, data = folder / "model.mnn", folder / "data"
        result = convert_model(model, file, options=replace(gate, save_data=data), progress=note)
        record = record_of(
            path,
            model,
            result,
            mnn=installed_version() or "",
            options=_options(gate),
            file=file,
            expected=_expected(data),
        )
        return replace(result, out=None), record


def _expected(data: Path) -> Mapping[str, np.ndarray]:
    """What the original gave for the first draw."""
    if not data.exists():
        return {}
    from mnncompat.parity import load_data

    saved = load_data(data)
    return saved.expected[0] if saved.expected else {}


def _options(gate: GateOptions) -> str:
    """How a model is converted, in words: what is not the default."""
    from mnncompat.converting.gate_options import GateOptions as Options

    plain = Options()
    parts = [
        f"{name}={getattr(gate, name)}"
        for name in ("seed", "recurrent", "requires_session", "head", "accept")
        if getattr(gate, name) and getattr(gate, name) != getattr(plain, name)
    ]
    converter, usual = gate.whole_converter, plain.whole_converter
    parts += [
        f"{name}={getattr(converter, name)}"
        for name in (
            "fp16",
            "weight_bits",
            "target_version",
            "optimize_level",
            "external_weights",
            "gelu_approximation",
        )
        if getattr(converter, name) != getattr(usual, name)
    ]
    parts += [f"shape {name}={'x'.join(map(str, sizes))}" for name, sizes in sorted(gate.shapes.items())]
    return ", ".join(parts)


def _name(model: Path, lock: Path) -> str:
    return Path(os.path.relpath(model, lock.parent)).as_posix()


def _kept(before: Mapping[str, Record], lock: Path) -> dict[str, Record]:
    """Records of models that are still there."""
    return {path: each for path, each in before.items() if (lock.parent / path).exists()}


def _reported(before: Mapping[str, Record], now: Mapping[str, Record], output_format: str, *, update: bool) -> bool:
    """Say what has changed; whether anything is worse."""
    from mnncompat.converting.regressions import changes, regressions
    from mnncompat.report.measures import counted
    from mnncompat.report.printable import printable

    entries = []
    for path, record in now.items():
        was = before.get(path)
        worse = [] if was is None else regressions(was, record)
        if was is None and not update:
            worse = ["is not in the lock file: `mnncompat ci --update` adds it"]
        entries.append((path, record, worse, [] if was is None else changes(was, record)))
    if output_format == "json":
        import json

        items = [
            {"model": path, "verdict": record.verdict, "worse": worse, "changed": changed}
            for path, record, worse, changed in entries
        ]
        emit(json.dumps({"schema_version": "1.0", "items": items}, indent=2) + "\n", "json")
        return any(worse for _, _, worse, _ in entries)
    lines = []
    for path, record, worse, changed in entries:
        state = "WORSE" if worse else "changed" if changed else "as before"
        lines.append(f"{printable(path)}: {state} ({record.verdict})")
        lines += [f"  worse: {printable(each)}" for each in worse]
        lines += [f"  changed: {printable(each)}" for each in changed]
    bad = sum(bool(worse) for _, _, worse, _ in entries)
    lines.append(f"{counted(len(entries), 'model')}: {f'{bad} worse' if bad else 'none worse'}")
    emit("\n".join(lines))
    return bool(bad)
