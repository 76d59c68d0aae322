"""Fix a model, and check the result again: what remains is looked for, not inferred from what was rewritten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mnncompat.checking.checker import check_model
from mnncompat.checking.chosen_findings import chosen_findings
from mnncompat.fixing import transaction
from mnncompat.graph.model_file import Model
from mnncompat.support.target import Target


def fix_and_check(model: Model, *, target: Target, **options: Any) -> transaction.FixedModel:
    """`mnncompat.fixing.transaction.fix_model`, with the findings on the result.

    Args:
        model: The model; it is not changed.
        target: What to rewrite and to check for; findings that it leaves out do not count.
        **options: Of `fix_model`.

    Returns:
        The fixed model; `FixedModel.remaining` is set.

    Raises:
        ModelError: External data cannot be read.
        UsageError: An option does not fit the model.
    """
    fixed = transaction.fix_model(model, target=target, **options)
    found = check_model(
        fixed.model,
        mnn_version=target.version,
        arch=target.arch,
        precision=target.precision,
        rewrites=None,
        head=target.head,
    )
    return replace(fixed, remaining=chosen_findings(found.diagnostics, target.choice))
