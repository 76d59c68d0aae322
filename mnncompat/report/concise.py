"""One line for each finding: `model.onnx: /head/Gemm: error MNN212 [*] message`, `[*]` where a rewrite helps.

A category other than correctness follows in brackets: `warning MNN801 [*] [performance] message`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnncompat.report.as_diagnostics import findings
from mnncompat.report.location import model_name
from mnncompat.report.measures import counted
from mnncompat.report.printable import printable
from mnncompat.report.subject import Subject
from mnncompat.results.diagnostics import Category, Diagnostic


def render(subjects: Sequence[Subject]) -> str:
    """Write findings, one a line; without any, that there are none, so that a clean run is seen to have been one."""
    lines = [_line(found) for subject in subjects for found in findings(subject)]
    if not lines and subjects:
        lines = [f"no findings in {counted(len(subjects), 'model')}"]
    return "".join(f"{line}\n" for line in lines)


def _line(found: Diagnostic) -> str:
    place = ": ".join(filter(None, (model_name(found.location.model), printable(found.location.path))))
    mark = "[*] " if found.fixable else ""
    about = "" if found.category is Category.CORRECTNESS else f"[{found.category.value}] "
    return f"{place}: {found.severity.value} {found.code} {mark}{about}{printable(found.message)}"
