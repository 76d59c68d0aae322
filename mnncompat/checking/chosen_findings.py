"""The findings that ``--select`` and ``--ignore`` leave, with the rewrites that `fix` applies under these options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mnncompat.results.diagnostics import Diagnostic
from mnncompat.rewrites.index import rewrite_named
from mnncompat.support.row_choice import RowChoice, means


def chosen_findings(found: Iterable[Diagnostic], choice: RowChoice) -> tuple[Diagnostic, ...]:
    """The findings that are selected, by their own code or name or by those of their remedy, and not ignored.

    Args:
        found: Findings.
        choice: What was selected and ignored; an ignored rewrite leaves the finding, without the promise to remove it.
    """
    if not choice.select and not choice.ignore:
        return tuple(found)
    return tuple(
        _without_ignored(each, choice)
        for each in found
        if not choice.ignores(each.code, each.name) and (not choice.select or _is_selected(each, choice))
    )


def _is_selected(found: Diagnostic, choice: RowChoice) -> bool:
    names = [(found.code, found.name), *_remedy(found)]
    return any(means(entry, code, name) for entry in choice.select for code, name in names)


def _remedy(found: Diagnostic) -> list[tuple[str, str]]:
    rewrite = rewrite_named(found.remedy) if found.remedy else None
    return [] if rewrite is None else [(rewrite.code, rewrite.name)]


def _without_ignored(found: Diagnostic, choice: RowChoice) -> Diagnostic:
    if not any(choice.ignores(code, name) for code, name in _remedy(found)):
        return found
    told = f"the rewrite {found.remedy} is ignored"
    hint = "; ".join(filter(None, [told, found.hint]))
    return replace(found, remedy=None, fixable=False, may_fix=False, hint=hint)
