"""In which of MNN's two APIs a file is good, in words: the same in every format.

told(report)            `Module yes; Session yes, in draw normal`
way_out(session, form)  what makes a Session run the file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.report.printable import printable
from mnncompat.results.proof_strength import ProofVerdict
from mnncompat.results.recurrent_form import RecurrentForm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnncompat.results.parity_report import ParityReport
    from mnncompat.results.session_parity import SessionParity

_GOOD, _BAD = "yes", "NO"
_MOST = 3


def told(report: ParityReport) -> str:
    """In which API the file is good; empty if a Session was not run."""
    return "" if report.session is None else f"Module {_module(report)}; Session {in_session(report.session)}"


def in_session(session: SessionParity) -> str:
    """`yes, in draw normal`, or why not."""
    if session.untried:
        return printable(f"not tried: {session.untried}")
    if session.problems:
        return printable(f"{_BAD}: {_listed(session.problems)}")
    draws = "draw" if len(session.draws) == 1 else f"{len(session.draws)} draws:"
    return printable(f"{_GOOD}, in {draws} {'; '.join(session.draws)}{_without(session.lost)}")


def _module(report: ParityReport) -> str:
    if report.passed:
        return _GOOD
    return _BAD if report.verdict is ProofVerdict.DIFFERENT else "not proven"


def _without(lost: Sequence[str]) -> str:
    return f", but without the {_inputs(lost)}, which no op of the file reads" if lost else ""


def _inputs(names: Sequence[str]) -> str:
    """`input 'mask'`, `inputs 'mask', 'ids'`."""
    return f"input{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"


def way_out(session: SessionParity | None, form: RecurrentForm | None = None) -> str:
    """What makes MNN's Session run a file, or what to do instead.

    Args:
        session: What it did.
        form: Of the recurrent layers in the file; None if none has two.
    """
    if session is None:
        return "a Session was not run"
    if session.agrees:
        return f"leave the {_inputs(session.lost)} out of the model"
    loops = "`--recurrent ops` writes LSTM and GRU without loops; " if form is RecurrentForm.LOOPS else ""
    settled = "`mnncompat check` names what a Session does not run (MNN050), `mnncompat fix --shape` fixes sizes"
    return f"{loops}{settled}; or leave out --require-session and load the file as a Module (MNN::Express::Module)"


def _listed(problems: Sequence[str]) -> str:
    left = len(problems) - _MOST
    return "; ".join(problems[:_MOST]) + (f" and {left} more" if left > 0 else "")
