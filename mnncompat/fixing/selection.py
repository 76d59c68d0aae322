"""Which rewrites a user chose: by their own code or name, or by those of the findings that they remove."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from mnncompat.errors import UsageError
from mnncompat.results.diagnostics import Applicability
from mnncompat.results.renamed_rules import accepted
from mnncompat.rewrites.core.base import Rewrite
from mnncompat.rewrites.index import all_rewrites, searches
from mnncompat.support.row_choice import RowChoice, means
from mnncompat.support.table import SupportTable


class Chosen(NamedTuple):
    """What to rewrite.

    Attributes:
        rewrites: Rewrites to apply, in order.
        rows: Findings to remove by them; for `mnncompat.support.target.Target`.
    """

    rewrites: tuple[Rewrite, ...]
    rows: RowChoice


def choose(
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    unsafe: bool = False,
    rewrites: Sequence[Rewrite] | None = None,
    is_rule: Callable[[str], bool] = lambda _entry: False,
) -> Chosen:
    """Choose rewrites, by themselves or by the findings that they remove.

    Args:
        select: Code, start of a code, or name, of rewrites or of findings; all if empty.
        ignore: Leave these out. A rewrite whose finding is ignored still removes other findings.
        unsafe: Use unsafe ones too.
        rewrites: To choose from; by default all rewrites.
        is_rule: Tells whether an entry means a rule that is neither a rewrite nor in the table.

    Raises:
        UsageError: An entry of `select` or `ignore` means no rule at all.
    """
    known = all_rewrites() if rewrites is None else tuple(rewrites)
    select, ignore = tuple(map(accepted, select)), tuple(map(accepted, ignore))
    for entry in (*select, *ignore):
        if not any(_is_entry_for(entry, rewrite) for rewrite in known) and not is_rule(entry):
            raise UsageError(f"no rewrite is called '{entry}'", hint=_near(entry, known))
    selected = {rewrite.name for rewrite in known if any(_is_entry_for(entry, rewrite) for entry in select)}
    remedies = _remedies(select)
    if remedies is not None:
        # Beside the remedies that rows name: a rewrite with a search of its own, on nodes with these findings.
        remedies |= {rewrite.name for rewrite in known if searches(rewrite)}
    chosen = tuple(
        rewrite
        for rewrite in known
        if (not select or rewrite.name in selected or rewrite.name in (remedies or ()))
        and not any(_is_entry_for(entry, rewrite) for entry in ignore)
        and (unsafe or rewrite.applicability is Applicability.SAFE)
    )
    return Chosen(chosen, RowChoice(select=select, ignore=ignore, selected=frozenset(selected)))


def choose_rewrites(
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    unsafe: bool = False,
    rewrites: Sequence[Rewrite] | None = None,
    is_rule: Callable[[str], bool] = lambda _entry: False,
) -> tuple[Rewrite, ...]:
    """The rewrites of `choose`."""
    return choose(select=select, ignore=ignore, unsafe=unsafe, rewrites=rewrites, is_rule=is_rule).rewrites


def _remedies(select: Iterable[str]) -> set[str] | None:
    """Names of the rewrites that rows of these entries name; None if no entry means a row."""
    entries = tuple(select)
    if not entries:
        return None
    table = SupportTable()
    rows = [
        row
        for row in (*table.graph_rows(), *(row for op in table.ops() for row in table.rows(op)))
        if row.code and any(means(entry, row.code, row.name) for entry in entries)
    ]
    return {row.remedy for row in rows if row.remedy} if rows else None


def _is_entry_for(entry: str, rewrite: Rewrite) -> bool:
    return means(entry, rewrite.code, rewrite.name)


def _near(entry: str, known: Sequence[Rewrite]) -> str:
    close = get_close_matches(entry, [word for rewrite in known for word in (rewrite.code, rewrite.name)], n=3)
    return f"close to it: {', '.join(close)}" if close else "`mnncompat rule` lists them"
