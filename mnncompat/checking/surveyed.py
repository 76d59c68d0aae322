"""A check with where the ops of the converted model run on backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mnncompat.graph.model_file import Model
from mnncompat.results.diagnostics import CheckResult
from mnncompat.support.row_choice import RowChoice, means

if TYPE_CHECKING:
    from mnncompat.support.head_form import HeadForm


def surveyed(
    model: Model,
    result: CheckResult,
    names: Sequence[str],
    choice: RowChoice,
    *,
    head: HeadForm | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> CheckResult:
    """The result with `CheckResult.backends` and the findings about them.

    Args:
        model: The model.
        result: Its check.
        names: Backends.
        choice: Rules that are selected or ignored: what `fix` does under the same choice is placed as well.
        head: Form of fully connected heads; what the backends want if None.
        progress: Called with the conversions that are done and to be done.

    Raises:
        UsageError: There is no such backend.
        RunnerError: MNN is not installed.
    """
    from mnncompat.backends.analyze import analyze
    from mnncompat.backends.findings import with_backends
    from mnncompat.backends.rules import BACKEND_RULES
    from mnncompat.checking.rule_catalog import is_rule
    from mnncompat.fixing.selection import choose

    # A selected finding about backends selects no rewrite: it tells what `fix` does.
    told = [each for each in choice.select if any(means(each, rule.code, rule.name) for rule in BACKEND_RULES)]
    select = [each for each in choice.select if each not in told or choose(select=[each], is_rule=is_rule).rewrites]
    rewrites, rows = choose(select=select, ignore=choice.ignore, is_rule=is_rule)
    found = analyze(model, names, rewrites=rewrites, rows=rows, head=head, progress=progress)
    return with_backends(result, model, found)
