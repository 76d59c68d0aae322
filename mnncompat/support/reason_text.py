"""The reason of a row: its placeholders, filled with the values of a node, or described where there is no node.

A placeholder is ``{NAME}``, ``{SUBJECT.KEY}`` or ``{SUBJECT.KEY.PART}``. In rows about an operator `PLACEHOLDERS` are
known; a row about whole models has the names that its search provides values for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from mnncompat.support.condition_values import fail
from mnncompat.support.node_facts import NodeFacts

_FORM = r"\{(?P<path>[^{}]*)\}"
_PLACEHOLDER = re.compile(_FORM)
_IN_CONTEXT = rf"(?P<before>\b\w+ (?:= )?|')?{_FORM}'?"  # compiled on first use: no check needs it
_NAMED = 4
_COUNTS = {"inputs": "some", "outputs": "some"}

PARTS: dict[str, Callable[[NodeFacts, str], Any]] = {
    "dtype": NodeFacts.dtype,
    "rank": NodeFacts.rank,
    "shape": NodeFacts.shape,
    "elements": NodeFacts.elements,
}
"""Keys of an operand or a result in a placeholder, with their meaning."""

PLACEHOLDERS = {
    "op": "the op type",
    "opset": "the opset of ONNX's own domain",
    "inputs": "the number of operands that the node lists",
    "outputs": "the number of results that the node lists",
    "attr.NAME": "the value of an attribute, or its default",
    "input.N": "the name of an operand",
    "output.N": "the name of a result",
    **{f"input.N.{part}": f"the {part} of an operand" for part in PARTS},
    **{f"output.N.{part}": f"the {part} of a result" for part in PARTS},
}
"""The placeholders of rows about an operator, and their meaning."""


class Placeholder(NamedTuple):
    """The parts of a placeholder; absent parts are empty."""

    subject: str
    key: str = ""
    part: str = ""

    @property
    def form(self) -> str:
        """The placeholder as `PLACEHOLDERS` names it: ``input.1.dtype`` is an ``input.N.dtype``."""
        kind = {"attr": "NAME", "input": "N", "output": "N"}.get(self.subject, self.key)
        is_key = self.key.isidentifier() if kind == "NAME" else self.key.isdecimal()
        return ".".join(filter(None, (self.subject, kind if is_key else self.key, self.part)))


def placeholders(reason: str) -> tuple[Placeholder, ...]:
    """The placeholders of a reason, in order."""
    return tuple(_parse(path) for path in _PLACEHOLDER.findall(reason))


def _parse(path: str) -> Placeholder:
    subject, _, rest = path.partition(".")
    key, _, part = rest.partition(".")
    return Placeholder(subject, key, part)


def require_placeholders(reason: str, known: Collection[str], where: str) -> None:
    """Reject a reason with a placeholder that nothing fills, or a stray brace.

    Args:
        reason: As a row states it.
        known: Forms that are filled: `PLACEHOLDERS`, or the names of a search.
        where: File and row, for the error message.

    Raises:
        TableError: There is such a placeholder or brace.
    """
    if "{" not in reason and "}" not in reason:
        return
    for found, path in zip(placeholders(reason), _PLACEHOLDER.findall(reason), strict=True):
        if found.form not in known:
            fail(where, f"reason: unknown placeholder {{{path}}}; allowed are {', '.join(known) or 'none'}")
    if set("{}") & set(_PLACEHOLDER.sub("", reason)):
        fail(where, "reason: a brace that belongs to no placeholder")


def fill(reason: str, value: Callable[[Placeholder], str]) -> str:
    """The reason with a value in place of every placeholder."""
    return _PLACEHOLDER.sub(lambda match: value(_parse(match["path"])), reason)


def describe(reason: str, facts: NodeFacts) -> str:
    """Fill the placeholders of a reason with the values of a node."""
    return fill(reason, lambda placeholder: _actual(placeholder, facts))


def _actual(placeholder: Placeholder, facts: NodeFacts) -> str:
    subject, key, part = placeholder
    if subject == "attr":
        return _shown(facts.attribute(key))
    if subject in ("input", "output"):
        name = (facts.operand if subject == "input" else facts.result)(int(key))
        if name is None:
            return "none"
        return _shown(PARTS[part](facts, name)) if part else name
    counts = {"op": facts.node.op_type, "opset": facts.opset, "inputs": len(facts.node.input)}
    return str(counts.get(subject, len(facts.node.output)))


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join('?' if item is None else str(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


# ---- descriptions, where there is no node ---------------------------------------------------------------------------


def in_words(reason: str, ops: Sequence[str]) -> str:
    """The reason with descriptions of its placeholders instead of the values of a node.

    ``{op}`` is the operator's name or, for more than a few, "the operator"; ``{attr.mode}`` is "mode", and nothing
    where the name stands before it already; ``{input.1.dtype}`` is "the dtype of input 1".

    Args:
        reason: As a row states it.
        ops: Op types that the statement is about; empty for a statement about whole models.
    """
    return re.sub(_IN_CONTEXT, lambda match: _words(_parse(match["path"]), match["before"] or "", ops), reason)


def _words(placeholder: Placeholder, before: str, ops: Sequence[str]) -> str:
    subject, key, part = placeholder
    word = before.removesuffix("= ").strip()
    if subject == "attr":
        return word if word == key else before + key
    if subject == "op" and ops:
        return before + _listed(ops)
    if subject in ("input", "output") and key:
        value = f"{subject} {key}"
        return before + (f"the {part} of {value}" if part else value)
    if subject == "opset":
        return before.removesuffix("opset ") + "this opset"
    if subject == word:
        return word
    return before.removesuffix("'") + _COUNTS.get(subject, subject)


def _listed(ops: Sequence[str]) -> str:
    if len(ops) > _NAMED:
        return "the operator"
    return " or ".join(filter(None, [", ".join(ops[:-1]), ops[-1]]))
