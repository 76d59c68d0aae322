"""The page: one HTML file with its program, its style and the data, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.report.printable import printable, printable_lines
from mnncompat.report.subject import source_of
from mnncompat.report.version import tool_version
from mnncompat.viewing.model_data import model_data

if TYPE_CHECKING:
    from mnncompat.report.subject import Subject
    from mnncompat.results.diagnostics import RuleInfo

FORMAT = "1.0"
"""Version of the data in the page. The second number grows with additions, the first with what breaks a reader."""
BUNDLE = Path(__file__).parent / "bundle"
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
)


def page(
    results: Sequence[Subject],
    *,
    folders: Mapping[str, Path],
    rules: Sequence[RuleInfo],
    rules_folder: Path,
    environment: Mapping[str, str],
    command: str,
    notes: Sequence[str] = (),
) -> str:
    """Write results as a page.

    Args:
        results: What commands returned; those about the same model are shown together.
        folders: Path of a model as the user gave it -> where `mnncompat.viewing.kept.keep` wrote its graphs.
        rules: All rules; those that findings name are explained.
        rules_folder: The installed folder of rules.
        environment: Versions and the platform.
        command: The command line that made it.
        notes: What was not done, and why.

    Returns:
        The HTML document.
    """
    by_model: dict[str, list[Subject]] = {}
    for result in results:
        by_model.setdefault(source_of(result), []).append(result)
    models = [model_data(name, found, folders.get(name), rules_folder) for name, found in by_model.items()]
    codes = {text for each in models for text in each["findings"]["strings"]}
    data = {
        "format": FORMAT,
        "version": tool_version(),
        "command": printable(command),
        "environment": dict(environment),
        "notes": [printable(note) for note in notes],
        "rules": {rule.code: _rule(rule) for rule in rules if rule.code in codes},
        "models": models,
    }
    return html(data, title=_title(list(by_model)))


def html(data: Any, *, title: str) -> str:
    """The document around the data.

    Args:
        data: What JSON knows.
        title: Of the document.
    """
    script, style = ((BUNDLE / name).read_text(encoding="utf-8") for name in ("viewer.js", "viewer.css"))
    policy = _POLICY.format(script=_digest(script), style=_digest(style))
    told = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    name = printable(title).replace("&", "&amp;").replace("<", "&lt;")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{name}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<div id="app"><noscript>A program in this page draws the report: allow scripts for it.</noscript></div>\n'
        f'<script type="application/json" id="data">{told}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _title(names: Sequence[str]) -> str:
    last = [name.rpartition("/")[2] or "model" for name in names]
    more = f" and {len(last) - 1} more" if len(last) > 1 else ""
    return f"{last[0] if last else 'no model'}{more} · mnncompat"


def _rule(rule: RuleInfo) -> dict[str, Any]:
    return {
        "name": rule.name,
        "summary": rule.summary,
        "explanation": "\n".join(printable_lines(rule.explanation)),
        "severity": rule.severity.value,
        "remedy": rule.remedy,
        "applicability": rule.applicability.value if rule.applicability else None,
        "mnn": rule.mnn,
        "evidence": [printable(line) for line in rule.evidence],
    }
