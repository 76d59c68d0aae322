"""A row's reason for people who have no node at hand: placeholders become words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLACEHOLDER = re.compile(r"(?P<before>\b\w+ (?:= )?|')?\{(?P<path>[a-z]+(?:\.[^{}]+)?)\}'?")
_NAMED = 4
_COUNTS = {"inputs": "some", "outputs": "some"}


def in_words(reason: str, ops: Sequence[str]) -> str:
    """The reason with what its placeholders stand for, instead of the values of a node.

    ``{op}`` is the operator's name or, of more than a few, "the operator"; ``{attr.mode}`` is "mode", and nothing where
    the name stands in front of it already; ``{input.1.dtype}`` is "the dtype of input 1".

    Args:
        reason: As a row states it.
        ops: Op types that the statement is about; empty for a statement about whole models.
    """
    return _PLACEHOLDER.sub(lambda match: _words(match["path"], match["before"] or "", ops), reason)


def _words(path: str, before: str, ops: Sequence[str]) -> str:
    subject, *rest = path.split(".")
    word = before.removesuffix("= ").strip()
    if subject == "attr":
        return word if word == rest[0] else before + rest[0]
    if subject == "op" and ops:
        return before + _listed(ops)
    if subject in ("input", "output") and rest:
        value = f"{subject} {rest[0]}"
        return before + (f"the {rest[1]} of {value}" if rest[1:] else value)
    if subject == "opset":
        return before.removesuffix("opset ") + "this opset"
    if subject == word:
        return word
    return before.removesuffix("'") + _COUNTS.get(subject, subject)


def _listed(ops: Sequence[str]) -> str:
    if len(ops) > _NAMED:
        return "the operator"
    return " or ".join(filter(None, [", ".join(ops[:-1]), ops[-1]]))
