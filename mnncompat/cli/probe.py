"""`mnncompat probe`."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mnncompat.cli import Ended, Interrupted, options
from mnncompat.cli.case_options import ON_ALL_CORES, CaseFleet
from mnncompat.cli.console import begin_work, emit, note, use_color
from mnncompat.cli.declared import argument, option
from mnncompat.cli.device_options import HERE, OnDevice
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.cli.progress import case_bar
from mnncompat.cli.render import rendered
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.cli.case_options import Measuring
    from mnncompat.devices.device import Where
    from mnncompat.probe.measurement import Measurement
    from mnncompat.probe.recording import Recording
    from mnncompat.probe.selection import Selection

_ALL = "all"
_INTERRUPTED = 2


_Corpora = Annotated[
    list[str] | None,
    option(
        "--corpus",
        metavar="NAME",
        help="node, node-const, converted, operator, simple, generated, rows or all. Repeatable. [default: node]",
    ),
]
_Codes = Annotated[
    list[str] | None,
    option("--code", metavar="CODE", help="Only the micro-models of this row; of the corpus rows. Repeatable."),
]


def probe(  # noqa: PLR0913 - one parameter an option
    case: Annotated[list[str] | None, argument(metavar="[CASE]...", help="Cases to show in full.")] = None,
    *,
    corpus: _Corpora = None,
    op: Annotated[list[str] | None, option("--op", metavar="OP", help="Only this operator. Repeatable.")] = None,
    code: _Codes = None,
    seed: Annotated[int, option("--seed", min=0, help="Seed of the generated corpus.")] = 0,
    count: Annotated[int | None, option("--count", min=1, help="Size of the generated corpus.")] = None,
    fleet: CaseFleet = ON_ALL_CORES,
    python: options.Python = None,
    device: OnDevice = HERE,
    out: options.Recorded = None,
    resume: Annotated[bool, option("--resume", help="Go on with what FILE holds already.")] = False,
    fix: Annotated[bool, option("--fix", help="Measure each case before and after `mnncompat fix`.")] = False,
    output_format: Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")] = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """Measure micro-models on MNN: convert, load, run and compare each in processes of its own.

    Ctrl-C keeps what was measured; --resume goes on.
    """
    _require_fit(case, out, output_format, resume=resume, fix=fix, scheduler=fleet.scheduler)
    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    where = device.where()
    fleet.require(python=python)
    if case:
        _show(case, python, where)
        return
    from mnncompat.probe.selection import CORPUS_NAMES, ROWS, Selection, arch_of_rows, precision_of_rows

    names = tuple(corpus or ((ROWS,) if code else ("node",)))
    names = CORPUS_NAMES if _ALL in names else names
    codes = frozenset(code or ())
    rows = {"precision": precision_of_rows(where), "arch": arch_of_rows(where)}
    selection = Selection(corpora=names, ops=frozenset(op or ()), codes=codes, seed=seed, count=count, **rows)
    if fix:
        from mnncompat.cli.before_after import measure_fixed

        measure_fixed(selection, jobs=fleet.jobs, python=python, device=device, output_format=output_format)
        return
    place = fleet.measuring(where, python)
    _measure(selection, place, out=out, resume=resume, output_format=output_format)


def _require_fit(
    case: list[str] | None, out: Path | None, output_format: str, *, resume: bool, fix: bool, scheduler: str | None
) -> None:
    if output_format not in ("text", "json"):
        raise UsageError(f"unknown output format: {output_format}", hint="there are: text, json")
    if fix and (out is not None or case):
        raise UsageError("--fix excludes --out and single cases", hint="choose cases with --corpus and --op")
    if (case or fix) and scheduler is not None:
        raise UsageError("--scheduler is about the cases of a corpus", hint="leave it out: --fix and a case run here")
    if resume and out is None:
        raise UsageError("--resume without --out", hint="give the file to go on with: --out FILE")


def _show(cases: Sequence[str], python: Path | None, where: Where | None) -> None:
    from mnncompat.probe.explain import explain
    from mnncompat.probe.prober import Prober
    from mnncompat.probe.selection import find

    found = [find(each) for each in cases]
    with Prober(python=python, where=where) as prober:
        for each in found:
            emit(explain(each, prober))


def _measure(
    selection: Selection,
    place: contextlib.AbstractContextManager[Measuring],
    *,
    out: Path | None,
    resume: bool,
    output_format: str,
) -> None:
    from mnncompat.probe.recording import Recording

    interrupted = False
    with place as (header, measured):
        recording = Recording(out, header, resume=resume)
        before = frozenset(recording.found)
        try:
            with case_bar(selection, len(before)) as progress:
                for each in measured(selection.cases(without=before)):
                    recording.add(each)
                    progress.advance(each.outcome.value)
        except (KeyboardInterrupt, Interrupted):
            interrupted = True
        finally:
            recording.save()
    emit(_json(header, recording) if output_format == "json" else _text(header, recording), output_format)
    if interrupted:
        kept = f"; {out} keeps them: go on with --resume" if out else ""
        note(f"interrupted: {len(recording.found)} cases measured{kept}")
        raise Ended(_INTERRUPTED)


def _text(header: Mapping[str, str], recording: Recording) -> str:
    from rich.table import Table
    from rich.text import Text

    from mnncompat.probe.measurement import Outcome

    counts = _by_op(recording.found.values())
    shown = [outcome for outcome in Outcome if any(each[outcome.value] for each in counts.values())]
    table = Table(box=None, pad_edge=False)
    table.add_column("operator")
    for outcome in shown:
        table.add_column(outcome.value, justify="right")
    total: Counter[str] = sum(counts.values(), Counter())
    for name, each in [*counts.items(), ("total", total)]:
        numbers = (str(each[outcome.value] or "") for outcome in shown)
        table.add_row(Text(name), *numbers, style="bold" if name == "total" else "")
    unstable = sum(each.unstable for each in recording.found.values())
    words = f"MNN {header['mnn']} on {header['machine']}: {len(recording.found)} cases"
    words += f", {unstable} of them depend on memory that was never written" if unstable else ""
    return rendered([table, Text(words)], color=use_color())


def _json(header: Mapping[str, str], recording: Recording) -> str:
    found = sorted(recording.found.values(), key=lambda each: each.id)
    document = {
        "schema_version": "1.0",
        "environment": dict(header),
        "ops": {op: dict(sorted(counts.items())) for op, counts in _by_op(found).items()},
        "measurements": [
            {
                "case": each.id,
                "op": each.op,
                "outcome": each.outcome.value,
                "stage": each.stage,
                "cause": each.cause,
                "aspect": each.aspect.value,
                "unstable": each.unstable,
                "detail": each.detail,
            }
            for each in found
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _by_op(found: Iterable[Measurement]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for each in found:
        counts.setdefault(each.op, Counter())[each.outcome.value] += 1
    return dict(sorted(counts.items()))
