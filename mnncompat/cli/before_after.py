"""`mnncompat probe --fix`: a corpus before and after `mnncompat fix`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.cli.console import emit, use_color
from mnncompat.cli.render import rendered
from mnncompat.probe.measurement import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mnncompat.cli.device_options import OnDevice
    from mnncompat.probe.before_after import BeforeAfter
    from mnncompat.probe.selection import Selection


# Its refusals do not explain why MNN is wrong.
_SEARCHING = "fully-connected-to-convolution"


def measure_fixed(
    selection: Selection, *, jobs: int | None, python: Path | None, device: OnDevice, output_format: str
) -> None:
    """Measure a corpus before and after `fix`, and print what changed, operator by operator."""
    from mnncompat.cli.progress import case_bar
    from mnncompat.probe.before_after import measure_before_and_after
    from mnncompat.probe.pool import Pool
    from mnncompat.support.target import Target

    found: list[BeforeAfter] = []
    with Pool(jobs=jobs, python=python, where=device.where()) as pool:
        target = Target(pool.environment.mnn, **device.deployment())
        with case_bar(selection, 0) as progress:
            for each in measure_before_and_after(selection.cases(), pool, target):
                found.append(each)
                progress.advance(each.after.outcome.value)
    found.sort(key=lambda each: each.before.id)
    emit(_json(found) if output_format == "json" else _text(found), output_format)


def _counts(found: Iterable[BeforeAfter]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in found:
        counts["cases"] += 1
        counts["before"] += each.before.outcome is Outcome.OK
        counts["after"] += each.after.outcome is Outcome.OK
        counts["broken"] += each.broken
    return counts


def _text(found: Sequence[BeforeAfter]) -> str:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("operator")
    columns = ("cases", "before", "after", "broken")
    for name in columns:
        table.add_column(name, justify="right")
    by_op: dict[str, list[BeforeAfter]] = {}
    for each in found:
        by_op.setdefault(each.before.op, []).append(each)
    for op, those in [*sorted(by_op.items()), ("total", list(found))]:
        counts = _counts(those)
        table.add_row(Text(op), *(str(counts[name] or "") for name in columns), style="bold" if op == "total" else "")
    left = [each for each in found if each.after.outcome is not Outcome.OK]
    lines = [Text(f"{each.before.id}  {each.after.code}  {each.obstacle}  {_why(each)}") for each in left]
    reasons = Counter(each.obstacle for each in left)
    heading = [Text(""), Text("not right after `fix`:")] if lines else []
    summary = [Text(f"{count:5} {reason}") for reason, count in reasons.most_common()]
    return rendered([table, *heading, *lines, Text(""), *summary], color=use_color())


def _why(pair: BeforeAfter) -> str:
    done = f"[{', '.join(pair.attempt.applied)}]" if pair.attempt.applied else ""
    broken = "broken!" if pair.broken else ""
    told = [each for each in pair.attempt.refused if not each.startswith(_SEARCHING)]
    return "  ".join(filter(None, (done, broken, pair.attempt.problem, *told, pair.after.detail)))


def _json(found: Sequence[BeforeAfter]) -> str:
    document = {
        "schema_version": "1.0",
        "total": dict(_counts(found)),
        "cases": [
            {
                "case": each.before.id,
                "op": each.before.op,
                "before": each.before.code,
                "after": each.after.code,
                "applied": each.attempt.applied,
                "refused": each.attempt.refused,
                "problem": each.attempt.problem,
                "obstacle": each.obstacle,
                "detail": each.after.detail,
            }
            for each in found
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
