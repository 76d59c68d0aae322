"""What is made from the code of the row language is up to date, and its examples are in the language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import pytest
import row_language

from mnncompat.support.attribute_conditions import ATTRIBUTE_TESTS
from mnncompat.support.condition_values import Word
from mnncompat.support.conditions import PREDICATES, parse_condition
from mnncompat.support.operand_conditions import PROPERTIES

STALE = "is not what the code says: run `make docs`"


def test_the_document_is_what_the_code_says() -> None:
    assert row_language.DOCUMENT.read_text() == row_language.document(), f"docs/row-language.md {STALE}"


def test_the_schema_is_what_the_code_says() -> None:
    assert row_language.SCHEMA.read_text() == row_language.schema(), f"rules/schema.json {STALE}"


def test_a_word_that_the_schema_does_not_describe() -> None:
    with pytest.raises(LookupError, match="'size' may be"):
        row_language._ordered(("rank", "size"), {"rank": {}})


@pytest.mark.parametrize("words", [PREDICATES, ATTRIBUTE_TESTS, PROPERTIES])
def test_examples_of_words_can_be_read(words: Mapping[str, Word]) -> None:
    for name, word in words.items():
        parse_condition(tomllib.loads(word.example), name)
        assert name in word.example or name == "is"
