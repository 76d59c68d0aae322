"""Make docs/row-language.md, and the lists of words in rules/schema.json, from the code of the row language.

`make docs` runs this; a test compares the files with what it would write.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mnncompat.support.attribute_conditions import ATTRIBUTE_TESTS
from mnncompat.support.condition_values import Word
from mnncompat.support.conditions import PREDICATES
from mnncompat.support.deployment import ARCHITECTURES, PRECISIONS
from mnncompat.support.model_conditions import SEARCHES
from mnncompat.support.operand_conditions import (
    DTYPES,
    INPUT_STATES,
    OUTPUT_STATES,
    PROPERTIES,
    RESULT_PROPERTIES,
    State,
)
from mnncompat.support.reason_text import PLACEHOLDERS, placeholders
from mnncompat.support.relations.registry import Relation, all_relations, family_of, relation_names
from mnncompat.support.row_status import OBSTACLES, STATUSES
from mnncompat.support.table import GRAPH_KEYS, OP_KEYS, SupportTable

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "row-language.md"
SCHEMA = REPOSITORY / "rules" / "schema.json"

_INTRODUCTION = """\
# The row language

This page is made from the code by `make docs`; do not edit it.

A row of `rules/ops/<Op>.toml` is a statement about what MNN does with nodes of an op type; a row of `rules/graph.toml`
is one about a whole model. `CONTRIBUTING.md` says how to add one. This page says what may stand in a row, and nothing
else may: a row is rejected when it is read if a word is not in this page, or if it can never hold.

A condition (`when`, and `unless` for exceptions) is a table of predicates, all of which must hold, or a list of such
tables, one of which must. An empty `when` always holds. Every predicate is True, False, or unknown where the model does
not say enough (a dimension without a size, a value of unknown type); where `when` is unknown the row is not reported as
certain.

A range is a number (`3`: exactly that), or comparisons that must all hold: `">=2"`, `">=2,<5"`, `"!=1"`.
"""


def document() -> str:
    """The text of docs/row-language.md."""
    sections = (
        _INTRODUCTION.splitlines(),
        _keys(),
        _predicates(),
        _attributes(),
        _values(),
        _placeholders(),
        _relations(),
    )
    return "\n".join(line for lines in (*sections, _searches()) for line in (*lines, "")).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_escaped(cell) for cell in row)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _words(words: Mapping[str, Word], prefix: str = "") -> Iterator[str]:
    rows = [(f"`{prefix}{name}`", word.meaning, f"`{word.example}`") for name, word in words.items()]
    yield from _table(("word", "meaning", "example"), rows)


def _states(states: Mapping[str, State], subject: str) -> Iterator[str]:
    rows = [(f"`{name}`", state.meaning, f'`{subject} = "{name}"`') for name, state in states.items()]
    yield from _table(("state", "meaning", "example"), rows)


def _keys() -> Iterator[str]:
    yield from ("## Keys of a row", "")
    yield from _table(("key", "meaning"), [(f"`{key}`", meaning) for key, meaning in {**OP_KEYS, **GRAPH_KEYS}.items()])


def _predicates() -> Iterator[str]:
    yield from ("## Predicates", "")
    yield from _words(PREDICATES)


def _attributes() -> Iterator[str]:
    yield from (
        "## Tests of an attribute",
        "",
        "An attribute that the node does not state has its default, if any.",
        "",
    )
    yield from _words(ATTRIBUTE_TESTS, "attr.NAME.")


def _values() -> Iterator[str]:
    yield from ("## States of an operand", "")
    yield from _states(INPUT_STATES, "input.1")
    yield from ("", "## States of a result", "")
    yield from _states(OUTPUT_STATES, "output.1")
    yield from ("", "## Properties of an operand", "")
    yield f"All are False of an operand that is absent. A result has {_listed(RESULT_PROPERTIES)} only."
    yield ""
    yield from _words(PROPERTIES, "input.N.")
    yield from ("", f"Element types: {_listed(DTYPES)}.")


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _placeholders() -> Iterator[str]:
    yield from ("## Placeholders of a reason", "")
    yield "Filled with the values of the node that the row is about. A row about a whole model has those of its search."
    yield ""
    reasons = [row.reason for op in SupportTable().ops() for row in SupportTable().rows(op)]
    rows = [(f"`{{{form}}}`", meaning, _example_reason(form, reasons)) for form, meaning in PLACEHOLDERS.items()]
    yield from _table(("placeholder", "meaning", "example"), rows)


def _example_reason(form: str, reasons: Sequence[str]) -> str:
    """A reason of a row with the placeholder; the placeholder itself if no row has one."""
    used = (each for each in reasons if any(found.form == form for found in placeholders(each)))
    stated = next(used, "{" + form.replace("NAME", "axis").replace("N", "1") + "}")
    return f"`{stated}`"


def _relations() -> Iterator[str]:
    yield from ("## Relations", "")
    yield (
        "Each is a function of `mnncompat/support/relations/`. The examples are models for which it is True and False, "
        "for the node that computes `y`."
    )
    for family, found in groupby(all_relations(), family_of):
        yield from ("", f"### {family.replace('_', ' ')}")
        for relation in found:
            yield from ("", *_relation(relation))


def _relation(relation: Relation) -> Iterator[str]:
    yield f"**{relation.name}**: {_prose(relation.explanation)}"
    yield from ("", "```text")
    opset = "" if relation.opset == 17 else f"   (opset {relation.opset})"
    yield f"True    {relation.holds}{opset}"
    yield f"False   {relation.fails}{opset}"
    yield "```"


def _searches() -> Iterator[str]:
    yield from ("## Searches", "")
    yield "`find` of a row of `rules/graph.toml` names one. Its placeholders may stand in the row's reason."
    yield ""
    reasons = {row.find: row.reason for row in SupportTable().graph_rows()}
    rows = [
        (
            f"`{name}`",
            _prose(search.find.__doc__ or ""),
            ", ".join(f"`{{{each}}}`" for each in search.fills),
            f"`{reasons[name]}`",
        )
        for name, search in SEARCHES.items()
    ]
    yield from _table(("search", "finds", "placeholders", "example of a reason"), rows)


def _prose(docstring: str) -> str:
    """A docstring as one paragraph of Markdown."""
    return re.sub(r"``", "`", " ".join(docstring.split()))


def schema() -> str:
    """The text of rules/schema.json, its lists of words as the code has them."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    definitions = found["$defs"]
    definitions["relation"]["enum"] = list(relation_names())
    definitions["dtype"]["enum"] = list(DTYPES)
    definitions["attribute"]["oneOf"][1]["properties"] = _ordered(
        ATTRIBUTE_TESTS, definitions["attribute"]["oneOf"][1]["properties"]
    )
    definitions["clause"]["properties"] = _ordered(PREDICATES, definitions["clause"]["properties"])
    kinds = {"input": (INPUT_STATES, PROPERTIES), "output": (OUTPUT_STATES, RESULT_PROPERTIES)}
    for kind, (states, properties) in kinds.items():
        state, table = definitions[kind]["oneOf"]
        state["enum"] = list(states)
        table["properties"] = _ordered(("is", *properties), table["properties"])
        table["properties"]["is"]["enum"] = list(states)
    for kind, keys in (("support", OP_KEYS), ("graph", GRAPH_KEYS)):
        described = _ordered(keys, definitions[kind]["properties"])
        described["arch"]["items"]["enum"] = list(ARCHITECTURES)
        described["precision"]["items"]["enum"] = list(PRECISIONS)
        described["status"]["enum"] = list(STATUSES)
        described["obstacle"]["enum"] = list(OBSTACLES)
        definitions[kind]["properties"] = described
    definitions["graph"]["properties"]["find"]["enum"] = sorted(SEARCHES)
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _ordered(words: Sequence[str] | Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a schema for these words, in their order.

    Raises:
        LookupError: A word is new: what its argument may be has to be written into the schema by hand.
    """
    missing = [word for word in words if word not in described]
    if missing:
        raise LookupError(f"rules/schema.json does not say what {missing[0]!r} may be: add it there by hand")
    return {word: described[word] for word in words}


def main() -> int:
    """Write both files."""
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document())
    SCHEMA.write_text(schema())
    return 0


if __name__ == "__main__":
    sys.exit(main())
