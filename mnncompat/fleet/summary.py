"""A folder of results as a table over models, what stands in their way most often, and what has changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnncompat.fleet.result_file import POISONED, Entry
from mnncompat.report import findings
from mnncompat.report.subject import Verified
from mnncompat.report.verdict import label
from mnncompat.results.diagnosis import Diagnosis
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Severity
from mnncompat.results.kept import KeptResult
from mnncompat.results.outcomes import ConvertResult, FixResult, Verdict
from mnncompat.results.parity_report import ParityReport

_SHIFT_DB = 3.0
"""A change of parity that is told: half of the signal's distance to the noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model under one command, release and device.

    Attributes:
        model: Its path.
        command: What was done.
        release: Of MNN.
        device: Where the converted file was run; empty for the machine that did the work alone.
        precision: What was computed in there.
        verdict: How it ended, in a few words.
        good: Whether there is nothing left to do.
        findings: Findings of level error or warning by code of their rule.
        ops: Number of ops of the converted file; None if there is none.
        bytes: Its size.
        parity: What the comparison showed, in words; empty if there was none.
        snr_db: The worst signal-to-noise ratio; None if nothing was compared, or all is equal.
        seconds: How long it took; None if that is not known.
        error: Why the work could not be done; empty if it was.
        file: Of the result.
    """

    model: str
    command: str
    release: str
    device: str
    precision: str
    verdict: str
    good: bool
    findings: Mapping[str, int] = field(default_factory=dict)
    ops: int | None = None
    bytes: int | None = None
    parity: str = ""
    snr_db: float | None = None
    seconds: float | None = None
    error: str = ""
    file: str = ""

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """What the row is about."""
        return (self.model, self.command, self.release, self.device, self.precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A rule that stands in the way of models.

    Attributes:
        code: Of the rule; empty for models that could not be worked on.
        name: Its name, or why they could not.
        severity: The worst with which it was found.
        models: In how many models.
        findings: How often.
        fixable: How many of the findings `mnncompat fix` removes.
    """

    code: str
    name: str
    severity: str
    models: int
    findings: int
    fixable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different about a model in another campaign.

    Attributes:
        model: Its path.
        where: Command, device and precision.
        lines: What is different, a line each.
        worse: Whether it was good and is not.
    """

    model: str
    where: str
    lines: tuple[str, ...]
    worse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A campaign.

    Attributes:
        rows: One for each task, in the order of the models.
        obstacles: The most frequent first.
        verdicts: How often each is.
        older: Results in the folder that a newer one of the same model stands for.
        changes: Against another campaign; None if there is none to compare with.
    """

    rows: tuple[Row, ...]
    obstacles: tuple[Obstacle, ...]
    verdicts: Mapping[str, int]
    older: int = 0
    changes: tuple[Change, ...] | None = None


def summarised(entries: Iterable[Entry], since: Iterable[Entry] | None = None) -> Summary:
    """Sum up results.

    Args:
        entries: What the folder holds.
        since: What another folder holds, to compare with.
    """
    every = list(entries)
    newest = _newest(every)
    rows = tuple(_row(each) for each in newest)
    return Summary(
        rows=rows,
        obstacles=_obstacles(newest),
        verdicts=dict(Counter(row.verdict for row in rows).most_common()),
        older=len(every) - len(newest),
        changes=None if since is None else _changes([_row(each) for each in _newest(list(since))], rows),
    )


def _newest(entries: Sequence[Entry]) -> list[Entry]:
    """Of results about the same model in the same place the last one: others are of other contents or options."""
    found: dict[tuple[str, ...], Entry] = {}
    for each in entries:
        known = found.get(each.place)
        if known is None or each.written > known.written:
            found[each.place] = each
    return list(found.values())


def _row(entry: Entry) -> Row:
    task, error = entry.task, entry.answer.error
    common: dict[str, Any] = {name: task[name] for name in ("command", "release", "device", "precision")}
    common |= {
        "model": task["model"]["path"],
        "seconds": entry.seconds,
        "file": f"results/{entry.key[:2]}/{entry.key}.json",
    }
    if error is not None:
        verdict = "poisoned" if entry.outcome == POISONED else "not worked on"
        return Row(verdict=verdict, good=False, error=str(error), **common)
    result = entry.answer.result
    counted = Counter(each.code for each in findings(result) if each.severity is not Severity.INFO)
    return Row(findings=dict(sorted(counted.items())), **_told(result), **common)


def _told(result: Any) -> dict[str, Any]:
    """Verdict and figures of a result."""
    match result:
        case CheckResult():
            errors = [each for each in result.diagnostics if each.severity is Severity.ERROR]
            warnings = [each for each in result.diagnostics if each.severity is Severity.WARNING]
            verdict = "errors" if errors else "warnings" if warnings else "clean"
            return {"verdict": verdict, "good": not errors}
        case FixResult():
            verdict = "not proven" if not result.proven else "errors remain" if result.errors else "fixed"
            return {"verdict": verdict if result.changed or result.errors else "unchanged", "good": verdict == "fixed"}
        case ConvertResult():
            ops = sum(result.ops.values()) if result.ops else None
            figures = {"ops": ops, "bytes": result.bytes or None, **_parity(result.parity)}
            return {"verdict": str(result.verdict), "good": result.verdict is Verdict.CONVERTED, **figures}
        case Verified():
            return {"verdict": str(result.parity.verdict), "good": result.parity.passed, **_parity(result.parity)}
    return _told_of_others(result)


def _told_of_others(result: Any) -> dict[str, Any]:
    match result:
        case Diagnosis():
            return {"verdict": str(result.verdict), "good": result.verdict == "agrees"}
        case KeptResult():
            figures = {"bytes": result.sizes[1] or None}
            return {"verdict": "worse" if result.worse else result.verdict, "good": not result.worse, **figures}
    return {"verdict": "done", "good": True}


def _parity(report: ParityReport | None) -> dict[str, Any]:
    if report is None:
        return {}
    found = [report.snr_db, *([report.device.snr_db] if report.device is not None else [])]
    finite = [each for each in found if each == each and abs(each) != float("inf")]  # noqa: PLR0124 - NaN
    return {"parity": label(report), "snr_db": round(min(finite), 1) if finite else None}


def _obstacles(entries: Sequence[Entry]) -> tuple[Obstacle, ...]:
    """Rules by the number of models that they were found in; and why models could not be worked on."""
    found: defaultdict[str, list[tuple[str, Diagnostic]]] = defaultdict(list)
    failed: Counter[str] = Counter()
    for entry in entries:
        model = entry.task["model"]["path"]
        if entry.answer.error is not None:
            failed[str(entry.answer.error).removeprefix(f"{model}: ")] += 1
            continue
        for each in findings(entry.answer.result):
            if each.severity is not Severity.INFO:
                found[each.code].append((model, each))
    rules = [_obstacle(code, places) for code, places in found.items()]
    others = [Obstacle(code="", name=why, severity="error", models=n, findings=n) for why, n in failed.items()]
    return tuple(sorted([*rules, *others], key=lambda each: (-each.models, -each.findings, each.code, each.name)))


def _obstacle(code: str, places: Sequence[tuple[str, Diagnostic]]) -> Obstacle:
    worst = min((each.severity for _, each in places), key=lambda each: each.rank)
    return Obstacle(
        code=code,
        name=places[0][1].name,
        severity=worst.value,
        models=len({model for model, _ in places}),
        findings=len(places),
        fixable=sum(each.fixable for _, each in places),
    )


def _changes(before: Sequence[Row], now: Sequence[Row]) -> tuple[Change, ...]:
    """What is different; releases make no difference to what is compared if each campaign has one."""
    alone = all(len({row.release for row in rows}) <= 1 for rows in (before, now))
    was, becomes = ({_matched(row, alone=alone): row for row in rows} for rows in (before, now))
    found = []
    for place in [*becomes, *(each for each in was if each not in becomes)]:
        old, new = was.get(place), becomes.get(place)
        lines = _differences(old, new)
        row = new or old
        if lines and row is not None:
            where = " ".join(filter(None, (row.command, row.device, row.precision)))
            worse = old is not None and old.good and (new is None or not new.good)
            found.append(Change(model=row.model, where=where, lines=tuple(lines), worse=worse))
    return tuple(sorted(found, key=lambda each: not each.worse))


def _matched(row: Row, *, alone: bool) -> tuple[str, ...]:
    return (row.model, row.command, "" if alone else row.release, row.device, row.precision)


def _differences(old: Row | None, new: Row | None) -> list[str]:
    if old is None or new is None:
        return ["is new" if old is None else "is not there any more"]
    found = []
    if old.verdict != new.verdict:
        found.append(f"verdict: {old.verdict} -> {new.verdict}")
    if old.error != new.error and new.error:
        found.append(f"error: {new.error}")
    gone, more = Counter(old.findings) - Counter(new.findings), Counter(new.findings) - Counter(old.findings)
    found += [f"{count} {code} less" for code, count in sorted(gone.items())]
    found += [f"{count} {code} more" for code, count in sorted(more.items())]
    for name, was, becomes in (("ops", old.ops, new.ops), ("bytes", old.bytes, new.bytes)):
        if was != becomes:
            found.append(f"{name}: {_number(was)} -> {_number(becomes)}")
    if _shifted(old.snr_db, new.snr_db):
        found.append(f"parity: {_decibel(old.snr_db)} -> {_decibel(new.snr_db)}")
    return found


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _decibel(value: float | None) -> str:
    return "none" if value is None else f"{value:.1f} dB"


def _shifted(old: float | None, new: float | None) -> bool:
    return (old is None) != (new is None) or (old is not None and new is not None and abs(old - new) >= _SHIFT_DB)
