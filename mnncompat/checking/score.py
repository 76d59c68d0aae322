"""How often the verdict of `check` is right: the confusion matrix against the probe's measurements.

The verdict on a micro-model is "hazard" if it has any finding at level error, else "fine". The outcome is "right" if
MNN converts it, runs it and computes the right values, twice.

In half precision, where the values decide, a warning is the verdict "depends on the values", which both outcomes agree
with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mnncompat.checking.checker import check_model
from mnncompat.errors import ModelError
from mnncompat.graph.model_file import from_proto
from mnncompat.probe.case import Case
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.results.diagnostics import Category, Severity
from mnncompat.support.deployment import HIGH, LOW
from mnncompat.support.table import SupportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One case: the verdict of the table and the measured outcome.

    Attributes:
        id: The case.
        op: The operator under test.
        codes: Codes of the error-level findings; empty for none.
        measured: What the probe found.
        warnings: Codes of the warnings, where these agree with both outcomes: in half precision.
    """

    id: str
    op: str
    codes: tuple[str, ...]
    measured: Measurement
    warnings: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """True if MNN computes the right values."""
        return self.measured.outcome is Outcome.OK

    @property
    def agrees(self) -> bool:
        """True if the verdict was right."""
        if self.warnings and not self.codes:
            return True
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
    cases: Iterable[Case],
    measured: Mapping[str, Measurement],
    version: str,
    table: SupportTable | None = None,
    *,
    arch: str | None = None,
    precision: str = HIGH,
) -> Iterator[Judgement]:
    """Compare verdict and outcome of every measured case.

    Args:
        cases: The corpus.
        measured: What the probe found, by case id; cases without a measurement are left out.
        version: The MNN release that was measured.
        table: The table to judge by; the one that ships with mnncompat by default.
        arch: The architecture that was measured; None to leave out no row.
        precision: What MNN computed in there.

    Raises:
        TableError: The rules are damaged.
    """
    table = table or SupportTable()
    for case in cases:
        found = measured.get(case.id)
        if found is not None:
            told = _codes(case, version, table, arch, precision)
            warnings = told[Severity.WARNING] if precision == LOW else ()
            yield Judgement(id=case.id, op=case.op, codes=told[Severity.ERROR], measured=found, warnings=warnings)


def _codes(
    case: Case, version: str, table: SupportTable, arch: str | None, precision: str
) -> dict[Severity, tuple[str, ...]]:
    """The codes of errors and of warnings about correctness."""
    from onnx import ModelProto

    try:
        model = from_proto(ModelProto.FromString(case.model))
        result = check_model(model, mnn_version=version, arch=arch, precision=precision, table=table)
    except ModelError as error:  # a model that `check` refuses to read counts as a hazard
        return {Severity.ERROR: (type(error).__name__,), Severity.WARNING: ()}
    counted = [each for each in result.diagnostics if each.category is Category.CORRECTNESS]
    return {
        Severity.ERROR: tuple(each.code for each in result.diagnostics if each.severity is Severity.ERROR),
        Severity.WARNING: tuple(each.code for each in counted if each.severity is Severity.WARNING),
    }
