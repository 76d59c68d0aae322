"""GitLab's code quality report: a JSON array, one entry for each finding.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import IN_MEMORY, node_name, relative
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject
from mnncompat.results.diagnostics import Category, Diagnostic, Severity

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def render(subjects: Sequence[Subject]) -> str:
    """Write the array; empty without findings."""
    seen: Counter[tuple[str, ...]] = Counter()
    entries = [_entry(each, seen) for subject in subjects for each in findings(subject)]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def _entry(found: Diagnostic, seen: Counter[tuple[str, ...]]) -> dict[str, Any]:
    path = printable(relative(found.location.model or IN_MEMORY))
    key = found.code, path, found.location.path, found.location.op_type
    seen[key] += 1
    digest = hashlib.sha256("\0".join((*key, str(seen[key]))).encode(errors="surrogatepass")).hexdigest()
    told = ": ".join(filter(None, (node_name(found.location), printable(found.message))))
    minor = found.category is not Category.CORRECTNESS and found.severity is not Severity.INFO
    return {
        "description": f"{told} ({printable(found.name)})",
        "check_name": found.code,
        "fingerprint": digest,
        "severity": "minor" if minor else _SEVERITIES[found.severity],
        "location": {"path": path, "lines": {"begin": 1}},
    }
