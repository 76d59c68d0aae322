"""What has become of models whose proof is kept: since a lock file was written, or under another release of MNN."""

from __future__ import annotations

from dataclasses import dataclass

from mnncompat.results.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutput:
    """One output before and now.

    Attributes:
        name: Of the graph output.
        snr_db: Lowest signal-to-noise ratio against the original, before and now, in dB; None where there is none.
    """

    name: str
    snr_db: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """One model before and now.

    Attributes:
        source: Path of the model as the lock file names it, or as the user gave it.
        before: What it is compared with: ``mnncompat.lock``, or ``MNN 3.5.0``.
        now: What is compared: ``MNN 3.6.1``, with which it was converted.
        was: The verdict before; None if nothing is kept.
        verdict: The verdict now, or how the conversion failed.
        worse: What has become worse, one line each.
        otherwise: What else has changed, one line each.
        written: Whether this is what is kept from now on.
        sizes: Bytes of the converted file, before and now; 0 where there is none.
        gone: Ops of the converted file that are not there any more: type and name.
        new: Ops that were not there.
        outputs: The outputs of both.
        findings_gone: Findings of `check` that only the release before has; of `upgrade`.
        findings_new: Findings that only the release now has.
    """

    source: str
    before: str
    now: str
    was: str | None
    verdict: str
    worse: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    written: bool = False
    sizes: tuple[int, int] = (0, 0)
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    outputs: tuple[KeptOutput, ...] = ()
    findings_gone: tuple[Diagnostic, ...] = ()
    findings_new: tuple[Diagnostic, ...] = ()

    @property
    def is_unknown(self) -> bool:
        """Nothing is kept of it, and this is not written either."""
        return self.was is None and not self.written

    @property
    def state(self) -> str:
        """``not kept``, ``worse``, ``new``, ``changed`` or ``as before``."""
        if self.is_unknown:
            return "not kept"
        if self.worse:
            return "worse"
        if self.was is None:
            return "new"
        return "changed" if self.otherwise else "as before"
