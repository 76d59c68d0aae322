"""All micro-models of the rows, measured on the installed MNN: the outcomes equal those stored for its release."""

from __future__ import annotations

import platform

import pytest

from mnncompat.probe.environment import describe
from mnncompat.probe.evidence import evidence_path, read_evidence
from mnncompat.probe.measurement import Measurement, Outcome
from mnncompat.probe.pool import Pool
from mnncompat.probe.row_cases import row_cases
from mnncompat.support.releases import installed_version

# A process that reads or writes beyond its memory ends by a signal, by an error or never: which of these is chance.
_ENDED = (Outcome.CRASH, Outcome.ERROR, Outcome.HANG)


def said(measured: Measurement) -> tuple[str, str, str]:
    """The part of an outcome that must be the same in every run."""
    if measured.outcome in _ENDED:
        return "ended without a result", "", ""
    return measured.outcome, measured.aspect, measured.stage


def test_the_installed_mnn_does_what_is_stored() -> None:
    version = installed_version()
    path = evidence_path(str(version), platform.machine(), rows=True)
    if not path.exists():
        pytest.fail(f"nothing is stored about MNN {version}: python tests/evidence/measure.py --rows {version}")
    header, stored = read_evidence(path)
    cases = {each.id: each for each in row_cases()}
    found: dict[str, Measurement] = {}

    def differs(case: str) -> bool:
        return not cases[case].unstable and (case not in stored or said(stored[case]) != said(found[case]))

    with Pool() as pool:
        here = describe(pool.environment)
        found = {each.id: each for each in pool.measure(each.case() for each in cases.values())}
        doubtful = [case for case in cases if differs(case)]
        # Once more, alone: on a busy machine a time limit may pass.
        found |= {each.id: each for each in pool.measure(cases[case].case() for case in doubtful)}
    differing = [
        f"{case}: {found[case].code} {found[case].detail}; stored: {stored[case].code if case in stored else 'nothing'}"
        for case in doubtful
        if differs(case)
    ]
    where = {key: (header[key], value) for key, value in here.items() if header[key] != value}
    again = f"measure it again: python tests/evidence/measure.py --rows {version} (stored and here: {where})"
    assert not differing, "\n".join([*differing, again])
