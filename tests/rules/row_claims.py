"""The claims of the rows of a table, compared with its micro-models and their measurements.

Each function returns one message for each claim without evidence: what is missing, and how to supply it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnncompat.checking.checker import UNDECLARED, check_model
from mnncompat.graph.model_file import from_proto
from mnncompat.inference.model_view import view_model
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.row_cases import GRAPH, RowCase, row_cases
from mnncompat.support.releases import contains
from mnncompat.support.table import Row, SupportTable
from mnncompat.support.target import Target

ARCH, ARM = "x86_64", "aarch64"
"""What the evidence was measured on."""
FAILURES = frozenset({Outcome.REFUSED, Outcome.CRASH, Outcome.HANG, Outcome.ERROR, Outcome.WRONG})
SHOWN_BY: Mapping[str, frozenset[Outcome]] = {
    "supported": frozenset({Outcome.OK}),
    "refused": frozenset({Outcome.REFUSED}),
    "crash": frozenset({Outcome.CRASH, Outcome.HANG}),
    "error": frozenset({Outcome.ERROR}),
    "wrong": frozenset({Outcome.WRONG}),
    "partial": FAILURES,
    "told": frozenset({Outcome.OK}),
    "larger": frozenset({Outcome.OK}),
}
"""Status of a row -> outcomes of its micro-models; those of a `partial` row show the inputs that are wrong."""
REPLACED_TYPES = frozenset({"MNN054"})
"""Rows about results that no tensor holds, so that nobody can read them, and which a rewrite replaces by tensors."""
Evidence = Mapping[str, Mapping[str, Measurement]]
"""Release of MNN -> case -> measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A micro-model and the rows that certainly hold for it, by release.

    Attributes:
        case: The entry of `rules/cases/`.
        rows: Release -> rows.
    """

    case: RowCase
    rows: Mapping[str, Sequence[Row]]

    def flagging(self, version: str) -> list[Row]:
        """Those of them that the entry names."""
        return [row for row in self.rows[version] if self._names(row)]

    def _names(self, row: Row) -> bool:
        return (row.code, row.op or GRAPH) == (self.case.code, self.case.op)


def shown(
    root: Path,
    table: SupportTable,
    versions: Collection[str],
    ops: Collection[str] | None = None,
    *,
    precision: str = "",
    arch: str = ARCH,
) -> list[Shown]:
    """The micro-models of a rules folder, with the rows that hold for them.

    Args:
        root: The folder.
        table: Its rows.
        versions: Releases of MNN.
        ops: Op types, `GRAPH` among them; None for all.
        precision: Those about that precision, on arm64; empty for those that hold for all.
        arch: Where the others are measured.
    """
    arch = ARM if precision else arch
    targets = {each: Target(each, arch=arch, precision=precision or "high", table=table) for each in versions}
    cases = row_cases(root, precision=precision, arch=arch)
    return [shown_for(case, targets) for case in cases if ops is None or case.op in ops]


def shown_for(case: RowCase, targets: Mapping[str, Target]) -> Shown:
    """A micro-model, and the rows that hold for it, by release."""
    view = view_model(from_proto(case.model()))
    rows: dict[str, Sequence[Row]] = {}
    for version, target in targets.items():
        about = [hazard.row for hazard in target.model_hazards(view)]
        for graph in target.graphs(view):
            for index, node in enumerate(graph.nodes):
                if node.domain in ("", "ai.onnx"):
                    matches = target.table.match(graph, index, version)
                    about += [each.row for each in matches if each.certain and target.concerns(each.row)]
        rows[version] = about
    return Shown(case=case, rows=rows)


def coded_rows(
    table: SupportTable, ops: Collection[str] | None = None, *, precision: str = "", arch: str = ARCH
) -> Iterator[Row]:
    """The rows that must have micro-models: all with a code but those that `rules/declared.json` rests on.

    Those that hold on x86-64 are shown there, where each release was measured; the others on arm64.
    """
    rows = [*table.graph_rows(), *(row for op in table.ops() for row in table.rows(op))]
    for row in rows:
        is_there = ARCH in (row.arch or (ARCH,)) if arch == ARCH else ARCH not in row.arch and arch in row.arch
        wanted = precision in row.precision if precision else not row.precision and is_there
        if wanted and row.code and row.code != UNDECLARED and (ops is None or (row.op or GRAPH) in ops):
            yield row


def without_models(
    table: SupportTable,
    found: Sequence[Shown],
    always: Collection[tuple[str, str]],
    ops: Collection[str] | None = None,
    *,
    precision: str = "",
    arch: str = ARCH,
) -> list[str]:
    """Rows that no micro-model shows, or that no look-alike distinguishes.

    Args:
        table: The rows.
        found: The micro-models.
        always: Code and op type of rows that hold for every use of an operator.
        ops: Op types, `GRAPH` among them; None for all.
        precision: Rows about that precision; empty for those that hold for all.
        arch: Where the others are measured.
    """
    messages = []
    for row in coded_rows(table, ops, precision=precision, arch=arch):
        op = row.op or GRAPH
        own = [each for each in found if (each.case.code, each.case.op) == (row.code, op)]
        place = f"{op} {row.code} ({row.mnn})"
        if not any(row is one for each in own if not each.case.is_alike for rows in each.rows.values() for one in rows):
            messages.append(
                f"{place}: no micro-model shows it: add one that it flags to rules/cases/{op}.toml "
                f'([[case]] code = "{row.code}", name, model), then {measuring(row.code)}'
            )
        if not any(each.case.is_alike for each in own) and (row.code, op) not in always:
            messages.append(
                f"{place}: no look-alike distinguishes it: add the nearest model that MNN computes right to "
                f'rules/cases/{op}.toml ([[case]] unlike = "{row.code}", name, model), then {measuring(row.code)}'
            )
    return messages


def disagreements(found: Sequence[Shown], evidence: Evidence) -> list[str]:
    """Micro-models and look-alikes that do not show what their rows say, in any release that was measured."""
    return [message for each in found for message in _case_disagreements(each, evidence)]


def _case_disagreements(each: Shown, evidence: Evidence) -> Iterator[str]:
    case = each.case
    if not case.is_alike and not any(each.flagging(version) for version in each.rows):
        row = f"row {case.code}" if case.code else "supported row"
        yield f"{case.id}: no {row} holds for it: correct the model, or the row's condition"
    for version in each.rows:
        measured = evidence.get(version, {}).get(case.id)
        flagging = each.flagging(version)
        if case.is_alike and case.mnn and not contains(case.mnn, version):
            continue
        if measured is None:
            yield f"{case.id}: was not measured on {version}: {measuring(case.code)}"
        elif case.is_alike:
            yield from _likeness(each, version, measured)
        elif flagging:
            yield from _claim(case, flagging[0], version, measured)


def _claim(case: RowCase, row: Row, version: str, measured: Measurement) -> Iterator[str]:
    """Whether the measurement is what the row says, or what the entry says instead."""
    if case.unstable:
        return
    found = f"{case.id}: is {measured.code} on {version}"
    told = next((outcome for releases, outcome in case.deviates.items() if contains(releases, version)), "")
    if told and measured.outcome in outcomes_of(row):
        yield f"{found}, as the row ({row.mnn}) says: it deviates no longer"
    elif told and (measured.outcome != told or measured.outcome not in FAILURES):
        yield f"{found}, and its entry says {told}: mend `deviates`, then {measuring(case.code)}"
    elif not told and measured.outcome not in outcomes_of(row):
        yield (
            f"{found}, and the row ({row.mnn}) says {row.status}: mend the row's status, condition or releases, or "
            f"take a model that shows it, or say in `deviates` how else it fails there, then {measuring(case.code)}"
        )


def outcomes_of(row: Row) -> frozenset[Outcome]:
    """The outcomes that micro-models of a row may have."""
    of_type = (row.obstacle == "type" and row.status == "error") or row.code in REPLACED_TYPES
    held = frozenset({Outcome.UNREPRESENTABLE}) if of_type else frozenset()
    return SHOWN_BY[row.status] | held


def _likeness(each: Shown, version: str, measured: Measurement) -> Iterator[str]:
    case = each.case
    if each.flagging(version):
        yield f"{case.id}: is a look-alike, but the row flags it for {version}: mend the model, or the row's condition"
    others = [row for row in each.rows[version] if row.status != "supported"]
    if measured.outcome is not Outcome.OK and not any(measured.outcome in outcomes_of(row) for row in others):
        yield (
            f"{case.id}: is a look-alike, but {measured.code} on {version}, and no row says so: take a model that MNN "
            f"computes right, or add a row, then {measuring(case.code)}"
        )


def untold_there(
    found: Sequence[Shown], version: str, measured: Mapping[str, Measurement], here: Mapping[str, Measurement]
) -> list[str]:
    """Micro-models of rows that do something else on another architecture or in another precision, and no row says so.

    Args:
        found: The micro-models, with the rows that hold there.
        version: The release.
        measured: What was measured there.
        here: What was measured on x86-64: where it is the same, other tests compare it with the rows.
    """
    messages = []
    for each in found:
        case, seen = each.case, measured.get(each.case.id)
        told = [row for row in each.rows[version] if row.status not in ("supported", "told", "larger")]
        may = {outcome for row in told for outcome in outcomes_of(row)}
        if all(row.status == "partial" for row in told):
            may.add(Outcome.OK)
        ends = may & _ENDED
        if seen is None:
            messages.append(f"{case.id}: was not measured there: {measuring(case.code)}")
        elif case.id in here and here[case.id].outcome is seen.outcome:
            continue
        elif not (case.unstable or case.deviates or seen.outcome in may or (ends and seen.outcome in _ENDED)):
            words = ", ".join(f"{row.code} {row.status}" for row in told) or "nothing"
            messages.append(
                f"{case.id}: is {seen.code} there, and the table tells {words}: state `arch` or `precision`"
            )
    return messages


_ENDED = frozenset({Outcome.CRASH, Outcome.HANG, Outcome.ERROR})
"""A process that reads or writes beyond its memory ends by a signal, by an error or never: which is chance."""


def unflagged(
    found: Sequence[Shown], version: str, table: SupportTable, *, precision: str = "high", arch: str = ARCH
) -> list[str]:
    """Micro-models that `check_model` does not flag in a release for which their rows hold, or look-alikes it does."""
    messages = []
    for each in found:
        case = each.case
        if not case.code:
            continue
        model = from_proto(case.model())
        result = check_model(model, mnn_version=version, table=table, precision=precision, arch=arch)
        reported = {
            item.code for item in result.diagnostics if item.is_certain and case.op in (GRAPH, item.location.op_type)
        }
        if (case.code in reported) is not bool(each.flagging(version)):
            messages.append(f"{case.id}: `check` for {version} reports {', '.join(sorted(reported)) or 'nothing'}")
    return messages


def measuring(code: str) -> str:
    """The commands that measure the micro-models of a row."""
    return (
        f"measure it: `mnncompat probe --corpus rows{f' --code {code}' if code else ''}` on the installed MNN; "
        "`python tests/evidence/measure.py --rows` on every release, into rules/evidence/rows/"
    )


def without_status(table: SupportTable, found: Sequence[Shown], versions: Sequence[str]) -> list[str]:
    """Rows whose status no micro-model shows in the newest release that they cover: all of them deviate.

    Args:
        table: The rows.
        found: The micro-models.
        versions: The releases that were measured, oldest first.
    """
    messages = []
    for row in coded_rows(table):
        covered = [version for version in versions if row.holds_for(version)]
        own = [each.case for each in found if covered and any(row is one for one in each.flagging(covered[-1]))]
        if own and all(any(contains(releases, covered[-1]) for releases in case.deviates) for case in own):
            messages.append(f"{row.op or GRAPH} {row.code} ({row.mnn}): nothing shows {row.status} on {covered[-1]}")
    return messages
