"""The order of rewrites is what they declare, with a reason; codes have no influence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from mnncompat.fixing import transaction
from mnncompat.fixing.selection import choose_rewrites
from mnncompat.fixing.transaction import fix_model
from mnncompat.graph.model_file import from_proto
from mnncompat.rewrites.core.base import Match, Rewrite
from mnncompat.rewrites.core.model_rewrite import ModelRewrite
from mnncompat.rewrites.index import all_rewrites
from mnncompat.rewrites.order import EVERY, followers, in_order
from mnncompat.support.target import Target


def behind(rewrites: tuple[Rewrite, ...]) -> Mapping[str, frozenset[str]]:
    """For each rewrite those that come after it by declaration, directly or through others."""
    named = followers(rewrites)
    found: dict[str, frozenset[str]] = {}
    for each in reversed(rewrites):
        found[each.name] = frozenset(named[each.name]).union(*(found[name] for name in named[each.name]))
    return found


BEHIND = behind(all_rewrites())


class Planted(Rewrite):
    """Stands somewhere."""

    code = "MNN999"
    summary = "planted"
    op_types: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, *before: tuple[str, str]) -> None:
        self.name, self.before = name, before  # type: ignore[misc]

    def find(self, view: object, target: object) -> tuple[()]:
        return ()

    def apply(self, match: object, editor: object) -> None:
        raise NotImplementedError


def names(*rewrites: Rewrite) -> list[str]:
    return [each.name for each in in_order(rewrites)]


def test_by_name_where_nothing_is_said() -> None:
    assert names(Planted("c"), Planted("a"), Planted("b")) == ["a", "b", "c"]


def test_as_declared() -> None:
    assert names(Planted("a"), Planted("b"), Planted("c", ("a", "why"))) == ["b", "c", "a"]
    assert names(Planted("a"), Planted("b", ("a", "why")), Planted("c", ("b", "why"))) == ["c", "b", "a"]


def test_before_every_other_but_those_that_stand_before_it() -> None:
    assert names(Planted("a"), Planted("b", ("c", "why")), Planted("c", (EVERY, "why"))) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("rewrites", "expected"),
    [
        ([Planted("a", ("b", "why"))], "'a' stands before 'b', which is no rewrite"),
        ([Planted("a", ("b", "")), Planted("b")], "'a' stands before 'b' without a reason"),
        ([Planted("a", ("b", "why")), Planted("b", ("a", "why")), Planted("c")], "in a circle, or after one: a, b$"),
    ],
)
def test_what_does_not_fit(rewrites: list[Rewrite], expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        in_order(rewrites)


def test_codes_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rewrites = all_rewrites()
    expected = [each.name for each in rewrites]
    for each, code in zip(rewrites, [each.code for each in reversed(rewrites)], strict=True):
        monkeypatch.setattr(type(each), "code", code)
    assert names(*reversed(rewrites)) == expected


@pytest.mark.parametrize("rewrite", [each for each in all_rewrites() if each.examples()], ids=lambda each: each.name)
def test_rewrites_of_the_same_node_declare_their_order(rewrite: Rewrite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example in every round: two matches that share a node are of one rewrite, or their order is declared."""
    rivals: set[tuple[str, str]] = set()
    apply = transaction._apply

    def watch(model: object, matches: list[tuple[object, Rewrite, Match]]) -> object:
        for number, (view, first, match) in enumerate(matches):
            rivals.update(
                (first.name, second.name)
                for other, second, more in matches[number + 1 :]
                if other is view and second is not first and match.nodes & more.nodes
            )
        return apply(model, matches)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "_apply", watch)
    for example in rewrite.examples():
        model, target = from_proto(example.build()), Target(example.mnn, precision=example.precision)
        fix_model(model, rewrites=choose_rewrites(unsafe=True), target=target, prove=False)
    undeclared = sorted(f"'{first}' and '{second}'" for first, second in rivals if second not in BEHIND[first])
    assert not undeclared, f"state `before` with a reason in one of {undeclared}"


def test_a_model_as_a_whole_comes_first() -> None:
    """They are applied alone, before any match: they have nothing to declare."""
    wholes = [each for each in all_rewrites() if isinstance(each, ModelRewrite)]
    assert wholes
    assert not any(each.before for each in wholes)
