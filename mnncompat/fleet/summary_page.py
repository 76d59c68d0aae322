"""A summary as a page for the browser: one file without a program, that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from mnncompat.fleet.summary import Row, Summary
from mnncompat.report.printable import printable

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8885; vertical-align: top; }
th { position: sticky; top: 0; background: Canvas; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.m { overflow-wrap: anywhere; }
.bad { color: light-dark(#a30d0d, #ff9a91); font-weight: 600; }
"""


def summary_page(summary: Summary, title: str) -> str:
    """The HTML document.

    Args:
        summary: What it shows.
        title: Of the document.
    """
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    parts = [_verdicts(summary), _changes(summary), _obstacles(summary), _models(summary.rows)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{_text(title)}</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return escape(printable(str(value)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in headings)
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _cell(value: object, kind: str = "") -> str:
    return f'<td class="{kind}">{_text(value)}</td>' if kind else f"<td>{_text(value)}</td>"


def _number(value: float | None, form: str = ",") -> str:
    return _cell("" if value is None else format(value, form), "n")


def _verdicts(summary: Summary) -> str:
    told = "; ".join(f"{count} {name}" for name, count in summary.verdicts.items())
    older = f" {summary.older} older results of the same models are left out." if summary.older else ""
    return f"<p>{len(summary.rows)} results: {_text(told)}.{_text(older)}</p>\n"


def _changes(summary: Summary) -> str:
    if summary.changes is None:
        return ""
    if not summary.changes:
        return "<h2>What has changed</h2>\n<p>Nothing.</p>\n"
    rows = (
        (
            *(_cell(each.model, "m"), _cell(each.where), _cell("worse", "bad") if each.worse else _cell("")),
            _cell("; ".join(each.lines)),
        )
        for each in summary.changes
    )
    return f"<h2>What has changed</h2>\n{_table(('model', 'where', '', 'what'), rows)}"


def _obstacles(summary: Summary) -> str:
    if not summary.obstacles:
        return ""
    rows = (
        (
            *(_cell(each.code), _cell(each.name, "m"), _cell(each.severity)),
            *(_number(each.models), _number(each.findings), _number(each.fixable)),
        )
        for each in summary.obstacles
    )
    headings = ("rule", "name", "severity", "models", "findings", "of these `fix` removes")
    return f"<h2>What stands in the way</h2>\n{_table(headings, rows)}"


def _models(rows: Sequence[Row]) -> str:
    headings = ("model", "command", "MNN", "device", "verdict", "ops", "bytes", "parity", "findings", "seconds")
    return f"<h2>Models</h2>\n{_table(headings, map(_model, rows))}"


def _model(row: Row) -> tuple[str, ...]:
    told = ", ".join(f"{count} {code}" for code, count in row.findings.items()) or row.error
    return (
        _cell(row.model, "m"),
        _cell(row.command),
        _cell(row.release),
        _cell(" ".join(filter(None, (row.device, row.precision)))),
        _cell(row.verdict, "" if row.good else "bad"),
        _number(row.ops),
        _number(row.bytes),
        _cell(row.parity),
        _cell(told, "m"),
        _number(row.seconds, ".2f"),
    )
