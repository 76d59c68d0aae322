"""Findings that were there when a team began: written once, and left out of every report from then on.

A finding is known by its rule, its model, its node and its operator, not by its message: retrained weights and other
sizes do not make it new. How many there are of one kind is kept, so that one more is new. Models are named relative to
the folder of the baseline, which may be moved with them.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mnncompat.errors import UsageError
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Suppressed

_VERSION = 1
_BY = "baseline"
_FIELDS = ("model", "rule", "name", "node", "operator")
_HINT = "write it with --update-baseline"


class _Known(NamedTuple):
    model: str
    rule: str
    name: str
    node: str
    operator: str


class Compared(NamedTuple):
    """Results, with what a baseline knows set aside.

    Attributes:
        results: The same results; the findings that are known are suppressed.
        known: How many those are.
        gone: How many the baseline knows of these models that are not there any more.
    """

    results: tuple[CheckResult, ...]
    known: int
    gone: int


def write_baseline(path: Path, results: Sequence[CheckResult]) -> int:
    """Write the findings of results; those that the file knows of other models stay.

    Args:
        path: The file, which may exist.
        results: Of all models that were checked.

    Returns:
        How many findings it knows now.

    Raises:
        UsageError: The file exists and is no baseline.
        OutputError: It cannot be written.
    """
    from mnncompat.graph.atomic_files import write_atomically

    checked = {_model(path, result.model) for result in results}
    before = read_baseline(path)
    known = Counter({key: count for key, count in before.items() if key.model not in checked})
    for result in results:
        known.update(_keys(path, result.diagnostics))
    entries = [dict(zip(_FIELDS, key, strict=True)) | {"count": known[key]} for key in sorted(known)]
    text = json.dumps({"version": _VERSION, "findings": entries}, indent=2, ensure_ascii=True)
    write_atomically(path, f"{text}\n".encode())
    return known.total()


def read_baseline(path: Path) -> Counter[_Known]:
    """Read what a baseline knows: nothing, if there is no such file.

    Raises:
        UsageError: It is no baseline.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Counter()
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no baseline: {error}", hint=_HINT) from error
    known = _entries(document)
    if known is None:
        raise UsageError(f"{path}: is no baseline of this version of mnncompat", hint=f"remove it and {_HINT}")
    return known


def compare(path: Path, results: Sequence[CheckResult]) -> Compared:
    """Suppress what the baseline knows.

    Raises:
        UsageError: It is no baseline.
    """
    left = read_baseline(path)
    checked = {_model(path, result.model) for result in results}
    compared = tuple(_compared(path, result, left) for result in results)
    known = sum(each.by == _BY for result in compared for each in result.suppressed)
    gone = sum(count for key, count in left.items() if key.model in checked)
    return Compared(compared, known, gone)


def _compared(path: Path, result: CheckResult, left: Counter[_Known]) -> CheckResult:
    """A result without the findings that are known, which are taken out of `left`."""
    new, known = [], list(result.suppressed)
    for each, key in zip(result.diagnostics, _keys(path, result.diagnostics), strict=True):
        if left[key] > 0:
            left[key] -= 1
            known.append(Suppressed(diagnostic=each, by=_BY))
        else:
            new.append(each)
    return replace(result, diagnostics=tuple(new), suppressed=tuple(known))


def _keys(path: Path, found: Sequence[Diagnostic]) -> list[_Known]:
    return [
        _Known(_model(path, each.location.model), each.code, each.name, each.location.path, each.location.op_type)
        for each in found
    ]


def _model(path: Path, model: str) -> str:
    """The model's path relative to the folder of the baseline."""
    return Path(os.path.relpath(model, path.parent)).as_posix() if model else ""


def _entries(document: Any) -> Counter[_Known] | None:
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        return None
    known: Counter[_Known] = Counter()
    entries = document.get("findings")
    for entry in entries if isinstance(entries, list) else [None]:
        texts = [entry.get(name) for name in _FIELDS] if isinstance(entry, dict) else [None]
        count = entry.get("count") if isinstance(entry, dict) else None
        if not all(isinstance(text, str) for text in texts) or type(count) is not int or count < 1:
            return None
        known[_Known(*texts)] += count
    return known
