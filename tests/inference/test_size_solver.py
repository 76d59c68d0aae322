"""Sizes that fit, the preferred ones first."""

from __future__ import annotations

from itertools import islice

import pytest

from mnncompat.inference.shape_propagation import Requirement
from mnncompat.inference.size_expression import Size, as_size, dimension
from mnncompat.inference.size_solver import solve

H, W, N = dimension("h"), dimension("w"), dimension("n")
CHOICES = (64, 16, 32, 8, 1)


def ask(kind: str, left: Size, right: Size | int, branch: str = "") -> Requirement:
    return Requirement(kind, left, as_size(right), 0, "a test", branch)


@pytest.mark.parametrize(
    ("requirements", "wanted"),
    [
        ([], {"h": 64, "w": 64, "n": 64}),
        ([ask("equal", H * W, 256)], {"h": 16, "w": 16, "n": 64}),
        ([ask("equal", H * W * 4, 4 * 7 * 11)], {"h": 7, "w": 11, "n": 64}),
        ([ask("equal", N, H + W)], {"h": 64, "w": 64, "n": 128}),
        ([ask("equal", N, H * 2), ask("equal", H // 8, W)], {"h": 64, "w": 8, "n": 128}),
        ([ask("at-most", H, 20)], {"h": 16, "w": 64, "n": 64}),
        ([ask("broadcast", H, W)], {"h": 64, "w": 64, "n": 64}),
        ([ask("multiple", H, 7)], {"h": 0, "w": 64, "n": 64}),
        ([ask("equal", (H - 1) // 32, 1)], {"h": 64, "w": 64, "n": 64}),
    ],
)
def test_the_first_solution(requirements: list[Requirement], wanted: dict[str, int]) -> None:
    candidates = dict.fromkeys(("h", "w", "n"), CHOICES)
    found = next(solve(candidates, requirements, {}), None)
    if wanted["h"] == 0:
        assert found is None, "no candidate is a multiple of 7"
    elif requirements and requirements[0].right == Size(308):
        assert found is not None
        assert found["h"] * found["w"] == 77
    else:
        assert found == wanted


def test_what_is_given_stays() -> None:
    found = list(islice(solve({"h": CHOICES, "w": CHOICES}, [ask("equal", H * W, 256)], {"h": 4}), 3))
    assert found == [{"h": 4, "w": 64}]


def test_a_contradiction_has_no_solution() -> None:
    both = [ask("equal", H, W + 1), ask("equal", W, H + 1)]
    assert list(solve({"h": CHOICES, "w": CHOICES}, both, {})) == []


def test_one_branch_is_enough_where_two_contradict_each_other() -> None:
    either = [ask("equal", H, 5, "then"), ask("equal", H, 9, "else")]
    assert {each["h"] for each in islice(solve({"h": CHOICES}, either, {}), 4)} >= {5, 9}


def test_no_solution_comes_twice() -> None:
    found = [tuple(each.items()) for each in solve({"h": CHOICES, "w": CHOICES}, [ask("broadcast", H, W)], {})]
    assert len(found) == len(set(found))
    assert len(found) == 5 + 2 * 4, "equal ones, and those where one is 1"
