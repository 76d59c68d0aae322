"""`--baseline` and `--update-baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from mnncompat.cli.console import note
from mnncompat.cli.declared import option
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.results.diagnostics import CheckResult
    from mnncompat.results.outcomes import Unfinished

Baseline = Annotated[
    Path | None,
    option("--baseline", metavar="FILE", help="Leave out the findings that this file knows: only new ones fail."),
]
UpdateBaseline = Annotated[
    bool, option("--update-baseline", help="Write the findings of today to the --baseline, and succeed.")
]


class BaselineOptions(NamedTuple):
    """Which findings are known, and do not fail."""

    baseline: Baseline = None
    update_baseline: UpdateBaseline = False

    def require(self) -> None:
        """What is asked for can be done; called before any work.

        Raises:
            UsageError: The file is no baseline, or there is none to update.
            OutputError: It cannot be written.
        """
        if self.baseline is None:
            if self.update_baseline:
                raise UsageError("--update-baseline updates nothing", hint="add --baseline FILE")
            return
        from mnncompat.checking.baseline import read_baseline
        from mnncompat.cli.output_paths import require_report

        if self.update_baseline:
            require_report(self.baseline, "--baseline")
        read_baseline(self.baseline)
        if not self.update_baseline and not self.baseline.exists():
            note(f"{self.baseline} does not exist, so every finding is new: --update-baseline writes it")

    def compare(
        self, reported: list[CheckResult | Unfinished], results: tuple[CheckResult, ...]
    ) -> tuple[list[CheckResult | Unfinished], tuple[CheckResult, ...]]:
        """Suppress the findings that are known, or have the file know those of today."""
        if self.baseline is None:
            return reported, results
        from mnncompat.checking.baseline import compare, write_baseline
        from mnncompat.report.measures import counted
        from mnncompat.results.diagnostics import CheckResult

        if self.update_baseline:
            note(f"wrote {self.baseline}: it knows {counted(write_baseline(self.baseline, results), 'finding')}")
        new, known, gone = compare(self.baseline, results)
        if known and not self.update_baseline:
            note(f"not shown, since {self.baseline} knows them: {counted(known, 'finding')}")
        if gone:
            note(f"{self.baseline} knows {counted(gone, 'finding')} that are gone: --update-baseline forgets them")
        left = iter(new)
        return [next(left) if isinstance(each, CheckResult) else each for each in reported], new


NO_BASELINE = BaselineOptions()
"""As they are by default."""
