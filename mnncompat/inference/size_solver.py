"""Sizes for the dynamic dimensions of a model that fulfil what its nodes require, the preferred ones first.

Linear requirements (``total = past + new``) are solved: the dimension that stands alone is computed from the others.
The rest is found by trying the candidates of one dimension after the other, and leaving a branch at the first
requirement that fails. Numbers that the graph states, and their divisors, are candidates too: ``4 * height * width =
1024`` has the solution 16, 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from math import isqrt

from mnncompat.inference.shape_propagation import Requirement
from mnncompat.inference.size_expression import Size, dimension

_MOST_STEPS = 20_000
"""Partial assignments that are looked at before the search ends."""
_MOST_DIVISORS = 24
_WHOLE, _FIRST = 2, 2
"""Selections that ask for everything; solutions of each other one that are looked at before more of the first."""


def solve(
    candidates: Mapping[str, Sequence[int]], requirements: Sequence[Requirement], fixed: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    """Assignments that fulfil all requirements.

    Args:
        candidates: Dimension -> sizes to try, the preferred ones first.
        requirements: Of the nodes. Those of kind ``broadcast`` are read as equalities first, and as they are then;
            those of branches and loops count together, then one branch alone, and last not at all.
        fixed: Dimensions whose sizes are given.

    Yields:
        Every dimension with its size, the assignment with the preferred sizes first; none twice.
    """
    seen: set[tuple[tuple[str, int], ...]] = set()
    once = list({(each.kind, each.left, each.right, each.branch): each for each in requirements}.values())
    searches = [_searched(candidates, wanted, fixed) for wanted in _selections(once)]
    some = [islice(search, _FIRST) for search in searches[_WHOLE:]]
    for found in chain(*searches[:_WHOLE], *some, *searches[_WHOLE:]):
        key = tuple(sorted(found.items()))
        if key not in seen:
            seen.add(key)
            yield found


def _searched(
    candidates: Mapping[str, Sequence[int]], requirements: Sequence[Requirement], fixed: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    """One search, which begins when its first solution is asked for."""
    yield from _Search(candidates, requirements, fixed).run()


def _selections(requirements: Sequence[Requirement]) -> Iterator[list[Requirement]]:
    """What is asked for: all as equalities, all as they are, and the main graph with one branch after the other."""
    yield [each._replace(kind="equal") if each.kind == "broadcast" else each for each in requirements]
    yield list(requirements)
    branches = list(dict.fromkeys(each.branch for each in requirements if each.branch))
    for branch in (*branches, "") if branches else ():
        yield [each for each in requirements if each.branch in ("", branch)]


class _Search:
    """One search, with the linear requirements solved."""

    def __init__(
        self, candidates: Mapping[str, Sequence[int]], requirements: Sequence[Requirement], fixed: Mapping[str, int]
    ) -> None:
        self._fixed = dict(fixed)
        self._solved: dict[str, Size] = {}
        self._requirements = list(requirements)
        for name, size in fixed.items():
            self._substitute(name, Size(size))
        self._eliminate(set(candidates) - set(fixed))
        self._free = [name for name in candidates if name not in fixed and name not in self._solved]
        self._candidates = {name: self._ordered(name, candidates[name]) for name in self._free}
        self._least = {name: min(values, default=1) for name, values in candidates.items()}
        self._steps = 0

    def run(self) -> Iterator[dict[str, int]]:
        """All assignments: first those where every dimension has its candidate of the same place, then all others.

        Dimensions that nothing is required of have their first one: that a height needs its third is no reason for the
        third batch.
        """
        asked = {name for each in self._requirements for side in (each.left, each.right) for name in side.dimensions()}
        unasked = {name: values[0] for name, values in self._candidates.items() if name not in asked}
        longest = max((len(values) for values in self._candidates.values()), default=1)
        for place in range(longest):
            sizes = {name: values[place if place < len(values) else 0] for name, values in self._candidates.items()}
            if self._fits(sizes):
                yield from self._completed({**sizes, **unasked})
        yield from self._assign(0, {})

    def _substitute(self, name: str, value: Size) -> None:
        self._requirements = [
            each._replace(left=each.left.substitute(name, value), right=each.right.substitute(name, value))
            for each in self._requirements
        ]
        self._solved = {other: size.substitute(name, value) for other, size in self._solved.items()}

    def _eliminate(self, names: set[str]) -> None:
        """Solve linear equalities for a dimension with the factor 1 or -1."""
        while True:
            found = next(filter(None, (self._solvable(each, names) for each in self._requirements)), None)
            if found is None:
                return
            name, value = found
            self._substitute(name, value)
            self._solved[name] = value

    def _solvable(self, requirement: Requirement, names: set[str]) -> tuple[str, Size] | None:
        if requirement.kind != "equal":
            return None
        difference = requirement.left - requirement.right
        if not difference.terms or not difference.is_linear:
            return None
        alone = [
            (atom, factor)
            for atom, factor in difference.terms
            if isinstance(atom, str) and atom in names and atom not in self._solved and factor in (1, -1)
        ]
        if not alone:
            return None
        # ``total = past + new`` is solved for the one whose sign stands alone: a sum is not below its parts.
        signs = [factor for _, factor in alone]
        name, factor = min(alone, key=lambda each: (signs.count(each[1]), each[0]))
        return name, (difference - dimension(name) * factor) * -factor

    def _ordered(self, name: str, preferred: Sequence[int]) -> list[int]:
        """Candidates: where a product with a number is required, its root and divisors come first."""
        numbers = [
            (requirement.left.number if requirement.left.number is not None else requirement.right.number or 0)
            for requirement in self._requirements
            if requirement.kind == "equal"
            and name in requirement.left.dimensions() | requirement.right.dimensions()
            and None in (requirement.left.number, requirement.right.number)
            and (requirement.left.number, requirement.right.number) != (None, None)
        ]
        first: list[int] = []
        limits: list[int] = []
        for number in (each for each in numbers if abs(each) > 1):  # of 1 there is nothing to learn
            divisors = _divisors(number)
            root = isqrt(number)
            first += sorted(divisors, key=lambda each: abs(each - root))[:_MOST_DIVISORS]
        for requirement in self._requirements:
            if requirement.kind == "at-most" and requirement.left == dimension(name):
                limits += [requirement.right.number] if requirement.right.number else []
        if first:
            first = self._closest_first(name, first)
        return list(dict.fromkeys([*first, *preferred, *limits]))

    def _closest_first(self, name: str, values: list[int]) -> list[int]:
        """Values that solve an equality when every dimension in it has the same size come first."""

        def fits(value: int) -> bool:
            return any(
                name in each.left.dimensions() | each.right.dimensions()
                and each.kind == "equal"
                and each.holds(dict.fromkeys(each.left.dimensions() | each.right.dimensions(), value))
                for each in self._requirements
            )

        return sorted(values, key=lambda value: not fits(value))

    def _assign(self, position: int, sizes: dict[str, int]) -> Iterator[dict[str, int]]:
        self._steps += 1
        if self._steps > _MOST_STEPS or not self._fits(sizes):
            return
        if position == len(self._free):
            yield from self._completed(sizes)
            return
        name = self._free[position]
        for size in self._candidates[name]:
            yield from self._assign(position + 1, sizes | {name: size})

    def _fits(self, sizes: Mapping[str, int]) -> bool:
        """False if a requirement fails whose dimensions all have sizes."""
        return all(each.holds(sizes) for each in self._requirements)

    def _completed(self, sizes: Mapping[str, int]) -> Iterator[dict[str, int]]:
        result = self._fixed | dict(sizes)
        for name, value in self._solved.items():
            try:
                result[name] = value.evaluate(result)
            except (KeyError, ZeroDivisionError):
                return
            if result[name] < min(self._least.get(name, 1), 1):
                return
        yield result


def _divisors(number: int) -> list[int]:
    small = [each for each in range(1, min(isqrt(abs(number)), 4096) + 1) if number % each == 0]
    return sorted({*small, *(abs(number) // each for each in small)})
