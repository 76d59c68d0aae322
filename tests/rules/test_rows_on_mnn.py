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


def said(measured: Measurement) -> tuple[str, str, str]:
    """The part of an outcome that must be the same: where and by which signal a process dies may be chance."""
    return measured.outcome, measured.aspect, "" if measured.outcome is Outcome.CRASH else measured.stage


def test_the_installed_mnn_does_what_is_stored() -> None:
    version = installed_version()
    path = evidence_path(str(version), platform.machine(), rows=True)
    if not path.exists():
        pytest.fail(f"nothing is stored about MNN {version}: python tests/evidence/measure.py --rows {version}")
    header, stored = read_evidence(path)
    cases = {each.id: each for each in row_cases()}
    with Pool() as pool:
        here = describe(pool.environment)
        found = {each.id: each for each in pool.measure(each.case() for each in cases.values())}
    differing = [
        f"{case}: {found[case].code} {found[case].detail}; stored: {stored[case].code if case in stored else 'nothing'}"
        for case, entry in cases.items()
        if not entry.unstable and (case not in stored or said(stored[case]) != said(found[case]))
    ]
    where = {key: (header[key], value) for key, value in here.items() if header[key] != value}
    again = f"measure it again: python tests/evidence/measure.py --rows {version} (stored and here: {where})"
    assert differing == [], again
