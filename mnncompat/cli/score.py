"""`mnncompat score`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mnncompat.cli.case_options import ON_ALL_CORES, CaseFleet
from mnncompat.cli.console import begin_work, emit, note, use_color
from mnncompat.cli.declared import option
from mnncompat.cli.device_options import HERE, LOW, OnDevice
from mnncompat.cli.limits import CommandMemory, CommandTimeout, parse_memory, parse_timeout
from mnncompat.cli.render import rendered
from mnncompat.errors import TableError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mnncompat.checking.score import Judgement, Score
    from mnncompat.devices.device import Where
    from mnncompat.diagnosing.half_precision.hit_rate import HitRate
    from mnncompat.probe.measurement import Measurement
    from mnncompat.probe.selection import Selection

_SHOWN, _NAMED = 3, 12

_Evidence = Annotated[
    Path | None,
    option("--evidence", metavar="FILE", help="File that `probe --out` wrote. [default: the evidence in rules/]"),
]
_Release = Annotated[
    str | None, option("--mnn", metavar="VERSION", help="Release whose evidence to use. [default: installed]")
]

_Predict = Annotated[
    bool,
    option(
        "--predict",
        help="With --device and --precision low: simulate each case that is right with precision high on its own "
        "inputs, as `check --precision low --input` does, and tell how often that comes true.",
    ),
]


def score(  # noqa: PLR0913 - one parameter an option
    *,
    corpus: Annotated[
        list[str] | None,
        option("--corpus", metavar="NAME", help="As of `probe`. Repeatable. [default: node and node-const]"),
    ] = None,
    op: Annotated[list[str] | None, option("--op", metavar="OP", help="Only this operator. Repeatable.")] = None,
    seed: Annotated[int, option("--seed", min=0, help="Seed of the generated corpus.")] = 0,
    count: Annotated[int | None, option("--count", min=1, help="Size of the generated corpus.")] = None,
    evidence: _Evidence = None,
    mnn: _Release = None,
    measure: Annotated[bool, option("--measure", help="Measure on the installed MNN instead.")] = False,
    predict: _Predict = False,
    device: OnDevice = HERE,
    fleet: CaseFleet = ON_ALL_CORES,
    output_format: Annotated[str, option("--output-format", metavar="FORMAT", help="text or json.")] = "text",
    timeout: CommandTimeout = None,
    memory_limit: CommandMemory = None,
) -> None:
    """How often the verdict of `check` comes true: any error-level finding against what the probe measured.

    Lists missed hazards (no finding, but MNN fails) and false alarms (a finding, but MNN is right) by operator.
    """
    if output_format not in ("text", "json"):
        raise UsageError(f"unknown output format: {output_format}", hint="there are: text, json")
    if measure and (evidence is not None or mnn is not None):
        raise UsageError("--measure uses the installed MNN", hint="leave out --evidence and --mnn")
    from mnncompat.checking.score import Score, judged
    from mnncompat.probe.selection import Selection

    begin_work(seconds=parse_timeout(timeout), memory=parse_memory(memory_limit), whole=True)
    names = tuple(corpus or ("node", "node-const"))
    where, told = device.where(), {"arch": _arch_here()} if device.where() is None else device.deployment()
    selection = Selection(corpora=names, ops=frozenset(op or ()), seed=seed, count=count)
    fleet.require(here=measure)
    version, found = _measured(selection, where, fleet) if measure else _recorded(evidence, mnn, where)
    result = Score(judgements=tuple(judged(selection.cases(), found, version, **told)))
    if not result.judgements:
        raise UsageError(
            "nothing to judge: none of these cases was measured", hint="measure them: `mnncompat score --measure`"
        )
    rate = _hit_rate(selection, where, found, version, fleet if measure else None) if predict else None
    text = _json(result, version, rate) if output_format == "json" else _text(result, version, rate)
    emit(text, output_format)


def _arch_here() -> str | None:
    """The architecture of this machine, None for one that no row names."""
    import platform

    from mnncompat.support.deployment import ARCHITECTURES

    return platform.machine() if platform.machine() in ARCHITECTURES else None


def _hit_rate(
    selection: Selection, where: Where | None, low: Mapping[str, Measurement], version: str, fleet: CaseFleet | None
) -> HitRate:
    if where is None or where.precision.value != LOW:
        raise UsageError("--predict is about half precision on a device", hint="add --device arm64 --precision low")
    from dataclasses import replace

    from mnncompat.devices.device import Precision
    from mnncompat.diagnosing.half_precision.hit_rate import hit_rate

    there = replace(where, precision=Precision.HIGH)
    _, high = _measured(selection, there, fleet) if fleet is not None else _recorded(None, version, there)
    note("simulating half precision")
    return hit_rate(selection.cases(), high, low)


def _measured(selection: Selection, where: Where | None, fleet: CaseFleet) -> tuple[str, Mapping[str, Measurement]]:
    with fleet.measuring(where) as (header, measured):
        version = header["mnn"]
        note(f"measuring on MNN {version}{f', {where}' if where is not None else ''}")
        return version, {each.id: each for each in measured(selection.cases())}


def _recorded(evidence: Path | None, mnn: str | None, where: Where | None) -> tuple[str, Mapping[str, Measurement]]:
    import platform

    from mnncompat.probe.evidence import evidence_path, read_evidence
    from mnncompat.support.releases import resolve_version

    machine = platform.machine() if where is None else where.device.arch
    if machine is None:
        raise UsageError(f"there is no evidence of {where}", hint="measure it: --measure")
    precision = "" if where is None else where.precision.value
    path = evidence or evidence_path(resolve_version(mnn), machine, precision=precision)
    if not path.is_file():
        raise TableError(f"there is no evidence {path}", hint="measure it: `mnncompat probe --corpus all --out FILE`")
    header, found = read_evidence(path)
    return header["mnn"], found if where is None else _with_unstable(found, header["mnn"])


def _with_unstable(found: Mapping[str, Measurement], version: str) -> Mapping[str, Measurement]:
    """What a device gave, but for cases that x86-64 shows to depend on memory that was never written.

    There each case is measured twice, with memory filled; on a device once, where such memory may happen to be zero.
    """
    from mnncompat.errors import TableError
    from mnncompat.probe.evidence import load_evidence

    try:
        here = load_evidence(version)
    except TableError:
        return found
    return {name: here[name] if name in here and here[name].unstable else each for name, each in found.items()}


def _text(result: Score, version: str, rate: HitRate | None = None) -> str:
    from rich.table import Table
    from rich.text import Text

    total = len(result.judgements)
    wrong = [each for each in result.judgements if not each.is_right]
    table = Table(box=None, pad_edge=False)
    for heading in (f"MNN {version}", "check: error", "check: no error"):
        table.add_column(heading, justify="left" if heading.startswith("MNN") else "right")
    table.add_row("MNN fails", str(len(wrong) - len(result.missed)), f"{len(result.missed)} missed")
    right = total - len(wrong)
    table.add_row("MNN is right", f"{len(result.false_alarms)} false alarms", str(right - len(result.false_alarms)))
    missed, false = len(result.missed), len(result.false_alarms)
    summary = (
        f"{total} cases: agreement {result.share(total - missed - false):.2%}, "
        f"missed hazards {result.share(missed):.2%}, false alarms {result.share(false):.2%}"
    )
    warned = sum(bool(each.warnings and not each.codes) for each in result.judgements)
    if warned:
        summary += f"; {warned} have a warning, as their values decide: it agrees with both outcomes"
    parts: list[RenderableType] = [table, Text(f"\n{summary}")]
    for title, items in (("Missed hazards", result.missed), ("False alarms", result.false_alarms)):
        if items:
            parts += [Text(f"\n{title}"), *(Text(line) for line in _listed(items))]
    if rate is not None:
        parts += [Text(line) for line in _predicted(rate)]
    return rendered(parts, color=use_color())


def _predicted(rate: HitRate) -> list[str]:
    """What the simulation said of cases that are right with precision high."""
    caught, wrong, right = len(rate.wrong) - len(rate.missed), len(rate.wrong), len(rate.right)
    shares = [f" ({part / whole:.0%})" if whole else "" for part, whole in ((caught, wrong), (len(rate.false), right))]
    lines = [
        "\nPrediction, of cases that are right with precision high",
        f"  {wrong} are wrong with low, {caught} of them were predicted{shares[0]}",
        f"  {right} are right, {len(rate.false)} of them were predicted wrong{shares[1]}",
    ]
    if rate.unknown:
        lines.append(f"  {len(rate.unknown)} more could not be simulated")
    for title, names in (("not predicted", rate.missed), ("predicted wrong, and right", rate.false)):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            lines.append(f"  {title}: {', '.join(names[:_NAMED])}{more}")
    return lines


def _listed(items: Iterable[Judgement]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for each in items:
        what = "+".join(each.codes) if each.is_right else each.measured.code
        groups.setdefault((each.op, what), []).append(each.id)
    counts = Counter({key: len(ids) for key, ids in groups.items()})
    lines = []
    for (op, what), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        ids = groups[op, what]
        more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        lines.append(f"  {op} {what}: {', '.join(ids[:_SHOWN])}{more}")
    return lines


def _json(result: Score, version: str, rate: HitRate | None = None) -> str:
    def listed(items: Iterable[Judgement]) -> list[dict[str, Any]]:
        return [
            {"case": each.id, "op": each.op, "codes": list(each.codes), "measured": each.measured.code}
            for each in items
        ]

    document = {
        "schema_version": "1.0",
        "mnn": version,
        "cases": len(result.judgements),
        "missed": listed(result.missed),
        "false_alarms": listed(result.false_alarms),
        **({} if rate is None else {"prediction": asdict(rate)}),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
