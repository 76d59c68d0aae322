"""The pages of the site that are made from the table: one for each rule and each rewrite, and lists of them.

They are made when the site is built and are not kept: what they say is in `rules/` and in the classes of rewrites.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import onnx

from mnncompat.checking.rule_catalog import all_rule_infos
from mnncompat.checking.rule_docs import OUTCOMES
from mnncompat.probe.evidence import load_evidence
from mnncompat.probe.measurement import Measurement
from mnncompat.probe.row_cases import RowCase, row_cases
from mnncompat.report.evidence import source_url
from mnncompat.results.diagnostics import RuleInfo
from mnncompat.rewrites.core.base import Example, Rewrite
from mnncompat.rewrites.core.expected import Refused, Rewritten
from mnncompat.rewrites.index import all_rewrites, requested_rewrites
from mnncompat.support import rule_files
from mnncompat.support.deployment import LOW
from mnncompat.support.reason_text import in_words
from mnncompat.support.table import Row, SupportTable

_SPECIAL = re.compile(r"([\\*_<>\[\]|#$~^{}])")
_CODE = re.compile(r"(`+[^`]+`+)")
_SHOWN = 1500
"""Characters of an example's model; a longer one holds weights that explain nothing."""
LISTS = ("index.md", "operators.md")
"""The pages that are documents of Sphinx, which the others are linked from."""


def pages() -> dict[str, str]:
    """The pages as Markdown, by their path in the folder of the rules."""
    rules = all_rule_infos()
    rewrites = {each.code: each for each in (*all_rewrites(), *requested_rewrites())}
    codes = {each.name: code for code, each in rewrites.items()}
    rows, cases = _rows(), _cases()
    found = {f"{rule.code}.md": "\n".join(_page(rule, rows, cases, rewrites, codes)) + "\n" for rule in rules}
    return {**dict(zip(LISTS, (_index(rules), _operators(rules)), strict=True)), **found}


def escaped(text: str) -> str:
    """Plain text, with code in backticks, as Markdown that shows it as it is."""
    parts = _CODE.split(text)
    return "".join(part if place % 2 else _SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts))


def _rows() -> Mapping[str, Sequence[Row]]:
    """Rows of the table by code, and by the name of their rewrite."""
    table = SupportTable()
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in (*table.graph_rows(), *(row for op in table.ops() for row in table.rows(op))):
        for key in (row.code, row.remedy):
            if key and row.code:
                found[key].append(row)
    return found


def _cases() -> Mapping[str, Sequence[RowCase]]:
    found: defaultdict[str, list[RowCase]] = defaultdict(list)
    for each in (*row_cases(), *row_cases(precision=LOW)):
        found[each.code].append(each)
    return found


def _index(rules: Sequence[RuleInfo]) -> str:
    lines = [
        "# Rules and rewrites",
        "",
        f"{len(rules)} rules, made from the table when this site was built. `mnncompat rule CODE` prints the same.",
        "`--select` and `--ignore` take a code, a name or the start of codes. [By operator](operators.md).",
        "",
        "| code | name | severity | about | what it says |",
        "|---|---|---|---|---|",
    ]
    for rule in rules:
        cells = (rule.severity.value, rule.category.value, escaped(rule.summary))
        lines.append(f"| [{rule.code}](rule:{rule.code}) | {rule.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _operators(rules: Sequence[RuleInfo]) -> str:
    by_op: defaultdict[str, list[str]] = defaultdict(list)
    for rule in rules:
        for op in rule.op_types:
            by_op[op].append(f"[{rule.code}](rule:{rule.code})")
    lines = [
        "# Rules by operator",
        "",
        "Codes from 801 on are rewrites. `mnncompat ops OP` prints all rows about an operator, also those in which MNN",
        "is right.",
        "",
        "| operator | rules |",
        "|---|---|",
        *(f"| {escaped(op)} | {', '.join(by_op[op])} |" for op in sorted(by_op)),
    ]
    return "---\norphan: true\n---\n\n" + "\n".join(lines) + "\n"


def _page(
    rule: RuleInfo,
    rows: Mapping[str, Sequence[Row]],
    cases: Mapping[str, Sequence[RowCase]],
    rewrites: Mapping[str, Rewrite],
    codes: Mapping[str, str],
) -> Iterator[str]:
    yield from (f"# {rule.code} {rule.name}", "")
    facts = [f"severity: {rule.severity.value}", f"category: {rule.category.value}"]
    facts += [f"operators: {escaped(', '.join(rule.op_types))}"] if rule.op_types else []
    facts += [f"rewrite: {rule.applicability.value}"] if rule.applicability else []
    yield from ("; ".join(facts) + ".", "")
    rewrite, stated = rewrites.get(rule.code), rows.get(rule.code, ())
    if rewrite is not None:
        yield from _rewrite(rule, rewrite, rows.get(rule.name, ()))
    elif stated:
        for row in stated:
            yield from _row(row, codes)
        yield from _measured(cases.get(rule.code, ()))
    else:
        yield from (rule.explanation, "", *(f"- {_evidence(each)}" for each in rule.evidence), "")


def _row(row: Row, codes: Mapping[str, str]) -> Iterator[str]:
    where = f" {row.where}" if row.where else ""
    yield from (f"## {escaped(row.op or 'The model as a whole')}", "")
    reason = in_words(row.reason, (row.op,) if row.op else ())
    yield from (escaped(f"{reason[:1].upper()}{reason[1:]}."), "")
    yield from (f"What MNN {escaped(row.mnn)} does{where}: {OUTCOMES[row.status]}.", "")
    for word, condition in (("When", row.when.text), ("Unless", row.unless.text)):
        if condition:
            yield from (f"{word}: `{condition}`", "")
    if row.remedy:
        yield from (f"`mnncompat fix` rewrites it: [{row.remedy}]({codes[row.remedy]}.html).", "")
    if row.advice:
        yield from (escaped(f"What to do: {row.advice}."), "")
    yield from ("Evidence:", "", *(f"- {_evidence(each)}" for each in row.evidence), "")


def _evidence(line: str) -> str:
    url = source_url(line)
    if not url:
        return escaped(line)
    place, _, rest = line.partition(": ")
    return f"[{escaped(place.removeprefix('src:'))}]({url}){': ' if rest else ''}{escaped(rest)}"


def _measured(cases: Sequence[RowCase]) -> Iterator[str]:
    """The micro-models of a row and what each measured release did with them."""
    if not cases:
        return
    yield from ("## Micro-models", "")
    yield from (
        "What each release did with them, as `rules/evidence/rows/` records it. Look-alikes lack the hazard.",
        "",
    )
    releases = {name: found for name, found in _releases().items() if any(case.id in found for case in cases)}
    yield f"| model | {' | '.join(releases)} |"
    yield f"|---|{'---|' * len(releases)}"
    for case in cases:
        kind = "look-alike: " if case.is_alike else ""
        outcomes = (found[case.id].code if case.id in found else "" for found in releases.values())
        yield f"| {escaped(kind + case.name)} | {' | '.join(map(escaped, outcomes))} |"
    for case in cases:
        yield from ("", f"**{escaped(case.name)}**", "", "```text", case.text.strip(), "```")
        yield from ("", f"Measure it yourself: `mnncompat probe {_quoted(case.id)}`", "")


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


@cache
def _releases() -> Mapping[str, Mapping[str, Measurement]]:
    """What is recorded about micro-models, by release, architecture and precision; x86-64 first."""
    found: dict[str, Mapping[str, Measurement]] = {}
    files = (rule_files.root() / "evidence" / "rows").glob("*.tsv")
    for path in sorted(files, key=lambda path: ("aarch64" in path.stem, path.stem)):
        release, machine, *precision = path.stem.split("-")
        name = release if (machine, precision) == ("x86_64", []) else path.stem.replace("-", " ")
        found[name] = load_evidence(release, machine, precision="".join(precision), rows=True)
    return found


def _rewrite(rule: RuleInfo, rewrite: Rewrite, rows: Sequence[Row]) -> Iterator[str]:
    yield from (re.sub(r"::$", ":", rule.explanation, flags=re.MULTILINE), "")
    if rows:
        yield from ("## Where it applies", "", "Where one of these rows holds for the release:", "")
        for code, op in dict.fromkeys((row.code, row.op) for row in rows):
            yield f"- [{code}]({code}.html) {escaped(op)}"
        yield ""
    examples = rewrite.examples()
    if examples:
        yield from ("## Examples", "", "All of them are tests: ONNX Runtime and MNN run what is rewritten.", "")
        for each in examples:
            yield from _example(each)


def _example(example: Example) -> Iterator[str]:
    model = example.build()
    opset = next((each.version for each in model.opset_import if not each.domain), "")
    yield f"**{escaped(example.name)}** (opset {opset}): {_outcome(example)}"
    text = onnx.printer.to_text(model.graph)
    if len(text) <= _SHOWN:
        yield from ("", "```text", text, "```")
    yield ""


def _outcome(example: Example) -> str:
    expected = example.expected
    if isinstance(expected, Rewritten):
        return f"becomes `{expected.becomes}`"
    return f"refused: {escaped(expected.reason)}" if isinstance(expected, Refused) else "is left as it is"
