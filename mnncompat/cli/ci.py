"""`mnncompat ci`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mnncompat.cli import EXIT_ERROR, Ended, options
from mnncompat.cli.console import collected, note, report
from mnncompat.cli.declared import option
from mnncompat.cli.fleet_options import ALONE, FleetOptions, part_of
from mnncompat.cli.limits import MemoryLimit, Timeout
from mnncompat.cli.report_options import MANY_REPORTS, ManyReportOptions

if TYPE_CHECKING:
    import numpy as np

    from mnncompat.converting.gate_options import GateOptions
    from mnncompat.converting.pipeline import Conversion
    from mnncompat.graph.model_file import Model
    from mnncompat.results.kept_record import Record
    from mnncompat.results.outcomes import Unfinished

Lock = Annotated[Path, option("--lock", metavar="FILE", help="The lock file.")]
Update = Annotated[bool, option("--update", help="Write what is measured today to the lock file, and succeed.")]
WithTime = Annotated[bool, option("--time", help="Measure the latency as well, against the model as it is.")]
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
    fleet: FleetOptions = ALONE,
    reports: ManyReportOptions = MANY_REPORTS,
) -> None:
    """Convert and prove every model again, and fail if one has become worse than the lock file says.

    Models and their settings are those of `mnncompat convert`; nothing is published. What counts as worse: the
    verdict, the size, ops that were not there, operators that the proof does not exercise any more, the Session API,
    findings of level error, outputs, and a model that computes something else. Exit status 1 if something is worse or a
    model is not in the file; 2 if a model could not be worked on: --update leaves what the file says of that.
    """
    reporting = reports.begin()
    from mnncompat.converting.lock_file import lock_text, read_lock
    from mnncompat.converting.regressions import compared
    from mnncompat.graph.atomic_files import require_writable, write_atomically

    before = read_lock(lock)
    if update:
        require_writable(lock)
    asked: dict[str, Any] = {"time": time, "quiet": reports.quiet, "exclude": search.exclude}
    asked |= {"memory_limit": memory_limit, "timeout": timeout, **fleet._asdict()}
    given = {name: value for name, value in asked.items() if value is not None}
    now, failed = measured(search.models(models) if models else None, given, lock)
    if update:
        write_atomically(lock, lock_text({**_kept(before, lock), **now}).encode())
        note(f"wrote {lock}")
    found = [compared(each, before.get(path), before_is=str(lock), written=update) for path, each in now.items()]
    report([*found, *failed], reporting)
    if failed:
        raise Ended(EXIT_ERROR)
    if any(each.worse or each.is_unknown for each in found) and not update:
        raise Ended(1)


def measured(
    paths: Sequence[Path] | None, asked: Mapping[str, Any], lock: Path
) -> tuple[dict[str, Record], list[Unfinished]]:
    """Convert models, and record what comes of it.

    Args:
        paths: The models; None for those of the configuration.
        asked: Options of `mnncompat convert` that the command line states, by parameter; they win over the
            configuration.
        lock: Paths are recorded relative to the folder of this file.

    Returns:
        Records by path, and the models that could not be worked on.
    """
    from mnncompat.cli.config import defaults
    from mnncompat.cli.convert import convert, converting_by
    from mnncompat.cli.per_model import call
    from mnncompat.results.kept_record import RecordedConversion
    from mnncompat.results.outcomes import Unfinished

    configured = defaults(["convert"]).get("convert", {})
    configured.pop("output_format", None)
    stated = {"models": None if paths is None else list(paths), "dry_run": True, **asked}
    with converting_by(partial(_record, lock)), part_of("ci", {"lock": lock}), collected() as results:
        try:
            call(convert, {**configured, **stated}, [f"--{name.replace('_', '-')}" for name in stated], every=True)
        except Ended as ended:
            if ended.status == EXIT_ERROR and not any(isinstance(each, Unfinished) for each in results.results):
                raise
    records = [each.record for each in results.results if isinstance(each, RecordedConversion)]
    return {each.path: each for each in records}, [each for each in results.results if isinstance(each, Unfinished)]


def convert_for(values: Mapping[str, Any]) -> None:
    """Convert as `ci` does, on another machine; the results are `RecordedConversion`.

    Args:
        values: Of options of `mnncompat convert`, and `lock`.
    """
    from mnncompat.cli.convert import convert, converting_by
    from mnncompat.cli.declared import grouped

    asked = {name: value for name, value in values.items() if name != "lock"}
    with converting_by(partial(_record, values["lock"])):
        convert(**grouped(convert, asked))


def _record(lock: Path, model: Model, _out: Path | None, gate: GateOptions) -> Conversion:
    """Convert a model in a temporary folder, with what to keep of that."""
    from mnncompat.converting.kept_placement import fallbacks
    from mnncompat.converting.lock_record import record_of, recorded
    from mnncompat.converting.pipeline import convert_model
    from mnncompat.files.scratch import ScratchFolder
    from mnncompat.support.releases import installed_version

    path = _name(Path(model.name), lock)
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
        record = replace(record, fallbacks=fallbacks(file, _backends(Path(model.name)), record.mnn))
        return recorded(replace(result, out=None), record)


def _backends(model: Path) -> tuple[str, ...]:
    """The backends that the configuration names for a model."""
    from mnncompat.cli.config import configured
    from mnncompat.cli.project import project

    known = project()
    mine = known.settings("convert", model, None).get("backend") if known else None
    return options.split_names(mine or configured("backend") or [], "backend")


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
        for name in ("seed", "recurrent", "requires_session", "keep_quantized", "head", "accept")
        if getattr(gate, name) and getattr(gate, name) != getattr(plain, name)
    ]
    converter, usual = gate.whole_converter, plain.whole_converter
    parts += [
        f"{name}={getattr(converter, name)}" for name in _CONVERTER if getattr(converter, name) != getattr(usual, name)
    ]
    parts += [f"shape {name}={'x'.join(map(str, sizes))}" for name, sizes in sorted(gate.shapes.items())]
    return ", ".join(parts)


def _name(model: Path, lock: Path) -> str:
    return Path(os.path.relpath(model, lock.parent)).as_posix()


def _kept(before: Mapping[str, Record], lock: Path) -> dict[str, Record]:
    """Records of models that are still there."""
    return {path: each for path, each in before.items() if (lock.parent / path).exists()}
