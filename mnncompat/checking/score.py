"""How often the verdict of `check` is right: the confusion matrix against the probe's measurements.

The verdict on a micro-model is "hazard" if it has any finding at level error, else "fine". The outcome is "right" if
MNN converts it, runs it and computes the right values, twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mnncompat.checking.checker import check_model
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.results.diagnostics import Severity
from mnncompat.support.table import SupportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One case: the verdict of the table and the measured outcome.

    Attributes:
        id: The case.
        op: The operator under test.
        codes: Codes of the error-level findings; empty for none.
        measured: What the probe found.
    """

    id: str
    op: str
    codes: tuple[str, ...]
    measured: Measurement

    @property
    def is_right(self) -> bool:
        """True if MNN computes the right values."""
        return self.measured.outcome is Outcome.OK

    @property
    def agrees(self) -> bool:
        """True if the verdict was right."""
        return self.is_right is not bool(self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The confusion matrix over a corpus.

    Attributes:
        judgements: Every case that was both judged and measured.
    """

    judgements: tuple[Judgement, ...]

    @property
    def missed(self) -> tuple[Judgement, ...]:
        """Hazards that `check` does not report."""
        return tuple(each for each in self.judgements if not each.agrees and not each.is_right)

    @property
    def false_alarms(self) -> tuple[Judgement, ...]:
        """Findings at level error on cases that MNN computes correctly."""
        return tuple(each for each in self.judgements if not each.agrees and each.is_right)

    def share(self, count: int) -> float:
        """`count` as a share of all cases."""
        return count / len(self.judgements) if self.judgements else 0.0


def judged(
    cases: Iterable[Case], measured: Mapping[str, Measurement], version: str, table: SupportTable | None = None
) -> Iterator[Judgement]:
    """Compare verdict and outcome of every measured case.

    Args:
        cases: The corpus.
        measured: What the probe found, by case id; cases without a measurement are left out.
        version: The MNN release that was measured.
        table: The table to judge by; the one that ships with mnncompat by default.

    Raises:
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    for case in cases:
        found = measured.get(case.id)
        if found is not None:
            yield Judgement(id=case.id, op=case.op, codes=_errors(case, version, table), measured=found)


def _errors(case: Case, version: str, table: SupportTable) -> tuple[str, ...]:
    from onnx import ModelProto

    try:
        result = check_model(from_proto(ModelProto.FromString(case.model)), mnn_version=version, table=table)
    except ModelError as error:  # a model that `check` refuses to read counts as a hazard
        return (type(error).__name__,)
    return tuple(item.code for item in result.diagnostics if item.severity is Severity.ERROR)
