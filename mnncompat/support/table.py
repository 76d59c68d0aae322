"""The table of what MNN does with each operator: rows read from `rules/`, matched against nodes.

``rules/ops/<Op>.toml`` holds the rows of one op type and is read when a model first contains one; ``rules/graph.toml``
holds rows about a model as a whole. A row is a statement about MNN with its evidence; no row at all means that nothing
is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mnncompat.errors import TableError
from mnncompat.graph.view import GraphView
from mnncompat.results.diagnostics import Category, Severity
from mnncompat.support import rule_files
from mnncompat.support.alike_nodes import AlikeNodes, GraphMatches, RowMatch
from mnncompat.support.compiled_rules import compiled
from mnncompat.support.condition_values import fail, one_or_several, require_known
from mnncompat.support.conditions import Condition, parse_condition
from mnncompat.support.deployment import ARCHITECTURES, PRECISIONS, limits_in_words
from mnncompat.support.model_conditions import SEARCHES
from mnncompat.support.node_facts import NodeFacts
from mnncompat.support.reason_text import PLACEHOLDERS, require_placeholders
from mnncompat.support.releases import contains
from mnncompat.support.row_status import OBSTACLES, STATUSES, category_of, severity_of
from mnncompat.support.three_valued import Truth, all_of, negation

_LONGEST_OP = 100
"""Letters of an operator of ONNX: longer names are no names of files."""
_HINT = "CONTRIBUTING.md shows a row; rules/schema.json says what may be in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One statement about what MNN does.

    Attributes:
        file: The file that states it.
        op: Op type, or empty for a statement about whole models.
        code: Stable code; the same in every file that states the same cause. Empty where MNN is right.
        name: Readable name, as unique as the code.
        mnn: Releases it holds for, a PEP 440 specifier.
        arch: Machine architectures it holds on; empty for all.
        precision: Precisions it holds for; empty for all.
        find: Name of the search in `mnncompat.support.model_conditions` (statements about whole models only).
        when: When it holds.
        unless: When it does not hold although `when` does.
        status: One of `STATUSES`.
        reason: What the model holds and what MNN does with it; may hold placeholders such as ``{attr.mode}`` or
            ``{input.1.dtype}``.
        remedy: Name of the rewrite that removes the finding, or None.
        advice: What to do where no rewrite exists; for a supported use, how equal numbers come out differently.
        obstacle: One of `OBSTACLES` where no rewrite can exist; else empty.
        evidence: ``measured: ...`` and ``src:path@tag: ...``.
    """

    file: str
    op: str
    code: str
    name: str
    mnn: str
    arch: tuple[str, ...]
    precision: tuple[str, ...]
    find: str
    when: Condition
    unless: Condition
    status: str
    reason: str
    remedy: str | None
    advice: str
    obstacle: str
    evidence: tuple[str, ...]

    @property
    def severity(self) -> Severity:
        """Severity of the findings of the row."""
        return severity_of(self.status)

    @property
    def where(self) -> str:
        """The architectures and precisions that it is limited to, in words; empty for none."""
        return limits_in_words(self.arch, self.precision)

    @property
    def category(self) -> Category:
        """Category of the findings of the row."""
        return category_of(self.status)

    def holds_for(self, version: str) -> bool:
        """True if the row holds for this MNN release, or for the nearest older one that is known."""
        return contains(self.mnn, version)

    def is_about(self, precision: str | None) -> bool:
        """True if the row holds for what MNN computes in; None is any."""
        return precision is None or not self.precision or precision in self.precision

    def holds(self, facts: NodeFacts) -> Truth:
        """Whether the row holds for this node; None if the model does not tell enough."""
        admitted = negation(self.unless.holds(facts))
        return False if admitted is False else all_of([admitted, self.when.holds(facts)])


class OpFile(NamedTuple):
    """What is known about one op type.

    Attributes:
        rows: Its rows, in the order of the file.
        defaults: Defaults of its attributes in every opset, as ONNX defines them. They are stored in the file because
            the first query of `onnx.defs` takes some 17 ms; a test compares them.
    """

    rows: tuple[Row, ...]
    defaults: Mapping[str, Any]


class SupportTable:
    """The rows of a rules folder, read one op type at a time.

    Args:
        root: A rules folder; the one that ships with mnncompat by default.
        trusted: Take rows from the compiled file, unless that is behind.
    """

    def __init__(self, root: Path | None = None, *, trusted: bool = True) -> None:
        self._root = root if root is not None else rule_files.root()
        self._trusted = trusted
        self._files: dict[str, OpFile] = {}
        self._graph_rows: tuple[Row, ...] | None = None
        self._alike = AlikeNodes(self.file)

    def file(self, op: str) -> OpFile:
        """Rows of one op type of ONNX's own domain; no rows at all if nothing is known.

        Raises:
            TableError: The file is damaged.
        """
        found = self._files.get(op)
        if found is None:
            path = self._root / "ops" / f"{op}.toml"
            is_known = op.isidentifier() and len(op) <= _LONGEST_OP and path.is_file()
            found = _op_file(self._read(path, op), op, path) if is_known else OpFile(rows=(), defaults={})
            self._files[op] = found
        return found

    def rows(self, op: str) -> tuple[Row, ...]:
        """Rows of one op type, in the order of the file.

        Raises:
            TableError: The file is damaged.
        """
        return self.file(op).rows

    def graph_rows(self) -> tuple[Row, ...]:
        """Rows about whole models.

        Raises:
            TableError: The file is damaged.
        """
        if self._graph_rows is None:
            path = self._root / "graph.toml"
            data, trusted = self._read(path, "graph")
            self._graph_rows = _parse_rows(data, "graph", "", path, {}, trusted=trusted)
        return self._graph_rows

    def _read(self, path: Path, name: str) -> tuple[dict[str, Any], bool]:
        """What a file of rows says, and whether it was accepted before."""
        source = rule_files.read_bytes(path)
        found = compiled(self._root, name, source) if self._trusted else None
        return (rule_files.parse_toml(source, path), False) if found is None else (found, True)

    def ops(self) -> tuple[str, ...]:
        """Op types that have a file, sorted."""
        return tuple(sorted(path.stem for path in (self._root / "ops").glob("*.toml")))

    def match(self, view: GraphView, index: int, version: str, precision: str | None = None) -> tuple[RowMatch, ...]:
        """Rows that hold, or may hold, for a node under one MNN release, in the order of the file.

        Args:
            view: The graph.
            index: Of the node.
            version: The release.
            precision: What MNN computes in; None for rows about any.

        Raises:
            TableError: The file of the op type is damaged.
        """
        return self.matches(view, version, precision).at(index)

    def matches(self, view: GraphView, version: str, precision: str | None = None) -> GraphMatches:
        """`match` for the nodes of one graph under one release."""
        key = self, version, precision
        found: GraphMatches | None = view.kept.get(key)
        if found is None:
            found = view.kept[key] = GraphMatches(self._alike, view, version, precision)
        return found


@cache
def shipped_table() -> SupportTable:
    """The table that ships with mnncompat, read once."""
    return SupportTable()


# ---- reading -------------------------------------------------------------------------------------------------------

_TEXTS = ("code", "name", "mnn", "find", "status", "reason", "remedy", "advice", "obstacle")
KEYS = {
    "code": "stable code, the same wherever the same cause is stated; left out where MNN is right",
    "name": "readable name of the code",
    "mnn": "releases that the row is about, as a PEP 440 specifier",
    "arch": f"list of {', '.join(ARCHITECTURES)}; left out for all",
    "precision": f"list of {', '.join(PRECISIONS)}, what MNN computes in where the file is deployed; left out for all",
    "status": f"what MNN does: one of {', '.join(STATUSES)}",
    "reason": "what is there and what MNN does with it, without a full stop; left out where MNN is right",
    "remedy": "name of the rewrite that removes the finding",
    "advice": "what to do where no rewrite exists; of a supported use, how equal numbers come out in another order",
    "obstacle": f"why no rewrite can exist: one of {', '.join(OBSTACLES)}",
    "evidence": "list of what the row rests on: `measured: ...`, `src:path@release: ...`, `node:test_...` and others",
}
"""What a row may say."""

OP_KEYS = {
    **KEYS,
    "when": "the condition under which the row holds; `{}` for always",
    "unless": "the condition under which it does not hold although `when` does",
}
"""What a row about an operator may say."""

GRAPH_KEYS = {**KEYS, "find": "name of the search that finds where the row holds"}
"""What a row about whole models may say."""

_NEEDED = ("mnn", "evidence", "status")
_NEEDED_OF_HAZARDS = ("code", "name", "reason")
_ONLY_OF_HAZARDS = (*_NEEDED_OF_HAZARDS, "remedy", "obstacle")
_NEVER = Condition((), "", {})


def _op_file(read: tuple[dict[str, Any], bool], op: str, path: Path) -> OpFile:
    data, trusted = read
    defaults = data.pop("defaults", {})
    if not isinstance(defaults, dict):
        raise TableError(f"{path}: defaults must be a table of attributes", hint=_HINT)
    return OpFile(rows=_parse_rows(data, "support", op, path, defaults, trusted=trusted), defaults=defaults)


def _parse_rows(
    data: Mapping[str, Any], kind: str, op: str, path: Path, defaults: Mapping[str, Any], *, trusted: bool
) -> tuple[Row, ...]:
    entries = data.get(kind)
    if set(data) != {kind} or not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise TableError(f"{path}: must hold [[{kind}]] tables and nothing else", hint=_HINT)
    return tuple(
        _parse_row(entry, op, path, f"{path}: row {entry.get('code') or number}", defaults, trusted=trusted)
        for number, entry in enumerate(entries, 1)
    )


def _parse_row(
    entry: Mapping[str, Any], op: str, file: Path, where: str, defaults: Mapping[str, Any], *, trusted: bool
) -> Row:
    if not trusted:
        _require_row(entry, op, where)
    return Row(
        file=str(file),
        op=op,
        code=entry.get("code", ""),
        name=entry.get("name", ""),
        mnn=entry["mnn"],
        arch=tuple(entry.get("arch", ())),
        precision=tuple(entry.get("precision", ())),
        find=entry.get("find", ""),
        when=parse_condition(entry.get("when", {}), where, defaults, trusted=trusted),
        unless=parse_condition(entry["unless"], where, defaults, trusted=trusted) if "unless" in entry else _NEVER,
        status=entry["status"],
        reason=entry.get("reason", ""),
        remedy=entry.get("remedy"),
        advice=entry.get("advice", ""),
        obstacle=entry.get("obstacle", ""),
        evidence=tuple(entry["evidence"]),
    )


def _require_row(entry: Mapping[str, Any], op: str, where: str) -> None:
    """Check all but the conditions."""
    _require_keys(entry, op, where)
    _require_specifier(entry["mnn"], where)
    if "arch" in entry:
        _require_texts(entry["arch"], where, "arch", ARCHITECTURES)
    if "precision" in entry:
        _require_texts(entry["precision"], where, "precision", PRECISIONS)
    _require_texts(entry["evidence"], where, "evidence")
    _require_reason(entry, op, where)


def _require_keys(entry: Mapping[str, Any], op: str, where: str) -> None:
    keys = tuple(OP_KEYS if op else GRAPH_KEYS)
    for key in entry:
        require_known(key, keys, where, "key")
    wrong = next((key for key in _TEXTS if not isinstance(entry.get(key, ""), str)), None)
    if wrong is not None:
        fail(where, f"{wrong} must be a string")
    if "status" in entry:
        require_known(entry["status"], STATUSES, where, "status")
    is_hazard = entry.get("status") != "supported"
    needed = [*_NEEDED, *(_NEEDED_OF_HAZARDS if is_hazard else ()), *([] if op else ["find"])]
    missing = [key for key in needed if not entry.get(key)] + (["when"] if op and "when" not in entry else [])
    if missing:
        fail(where, f"{missing[0]} is missing")
    spare = [key for key in _ONLY_OF_HAZARDS if key in entry and not is_hazard]
    if spare:
        fail(where, f"{spare[0]} says nothing where MNN is right: status is supported")
    if "obstacle" in entry:
        require_known(entry["obstacle"], OBSTACLES, where, "obstacle")
    if not entry.get("unless", True):
        fail(where, "unless is empty: it always holds, and the row never does")
    if op and entry["when"] == entry.get("unless"):
        fail(where, "unless is what when is: the row never holds")


def _require_texts(values: Any, where: str, what: str, known: tuple[str, ...] = ()) -> None:
    """Reject anything but a list of different strings; a bare string would pass as a list of letters."""
    if not isinstance(values, list):
        fail(where, f"{what} must be a list of strings, not {values!r}")
    for value in one_or_several(values, where, what):
        if known:
            require_known(value, known, where, what)
        elif not isinstance(value, str) or not value:
            fail(where, f"{what} must be a list of strings, not {values!r}")


def _require_reason(entry: Mapping[str, Any], op: str, where: str) -> None:
    if not op:
        require_known(entry["find"], tuple(SEARCHES), where, "search")
    require_placeholders(entry.get("reason", ""), PLACEHOLDERS if op else SEARCHES[entry["find"]].fills, where)


def _require_specifier(text: str, where: str) -> None:
    try:
        contains(text, "0")
    except ValueError:
        fail(where, f"mnn = {text!r} is not a PEP 440 version specifier")
