"""The results that can be reported, and the model that each is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnncompat.results.diagnosis import Diagnosis
from mnncompat.results.diagnostics import CheckResult
from mnncompat.results.kept import KeptResult
from mnncompat.results.outcomes import ConvertResult, FixResult, Unfinished

if TYPE_CHECKING:
    from mnncompat.results.accuracy import AccuracyReport
    from mnncompat.results.parity_report import ParityReport
    from mnncompat.results.preprocess_report import PreprocessReport
    from mnncompat.results.proof_strength import ProofVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A parity report with the files that it is about; the report itself does not name them.

    Attributes:
        source: Path of the ONNX model as the user gave it; empty for a model in memory.
        file: Path of the `.mnn` file as the user gave it; empty if unknown.
        parity: The report.
        accepted: What the proof lacks and the user accepted.
        requires_session: Whether MNN's Session API has to run the file as the Module API does.
        preprocess: Whether the inputs that are images are prepared as in training, of each such input.
        accuracy: How well the task is done; None without labels.
    """

    source: str
    file: str
    parity: ParityReport
    accepted: tuple[ProofVerdict, ...] = ()
    requires_session: bool = False
    preprocess: tuple[PreprocessReport, ...] = ()
    accuracy: AccuracyReport | None = None

    @property
    def is_prepared(self) -> bool:
        """Whether images are prepared as in training, as far as that was compared."""
        return all(each.passed for each in self.preprocess)

    @property
    def fails_task(self) -> bool:
        """Whether images are prepared otherwise than in training, or something of the table did not run."""
        return not self.is_prepared or (self.accuracy is not None and not self.accuracy.passed)

    @property
    def fails_requirement(self) -> bool:
        """Whether the Session API has to run the file as the Module API does, and does not."""
        session = self.parity.session
        return self.requires_session and (session is None or not session.passed)


Subject = CheckResult | FixResult | ConvertResult | Verified | Unfinished | Diagnosis | KeptResult


def subject_of(result: Subject | ParityReport) -> Subject:
    """Wrap a bare parity report; every other result names its model."""
    # ParityReport is recognised by exclusion: importing it would import numpy.
    if isinstance(result, CheckResult | FixResult | ConvertResult | Verified | Unfinished | Diagnosis | KeptResult):
        return result
    return Verified(source="", file="", parity=result)


def source_of(subject: Subject) -> str:
    """Path of the ONNX model as the user gave it; empty for a model in memory."""
    return subject.model if isinstance(subject, CheckResult) else subject.source
