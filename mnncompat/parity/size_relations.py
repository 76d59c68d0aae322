"""What the graph requires of the sizes that were chosen, in words for a person who wants others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnncompat.inference.shape_propagation import Requirement

_LONGEST = 24
"""Characters of an expression that says something to people; the padding of a deep network is longer."""
_SIGNS = {"equal": "=", "broadcast": "=", "multiple": "a multiple of", "at-most": "<="}


def size_relations(
    dimensions: Mapping[str, Mapping[int, str]], requirements: Sequence[Requirement], sizes: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Requirements such as ``total = past + new (Concat of [past] and [new])``, by the input that they are told with.

    Args:
        dimensions: Input -> axis -> name of the dynamic dimension.
        requirements: Of the nodes.
        sizes: That were chosen. What does not hold there, such as one side of a broadcast being 1, is left out.

    Returns:
        Input -> requirements. Each stands once: with the first input at which all its dimensions have been named.
    """
    told: dict[str, dict[str, str]] = {}
    known: set[str] = set()
    for name, axes in dimensions.items():
        known |= set(axes.values())
        for each in requirements:
            words = _words(each, sizes)
            concerned = each.left.dimensions() | each.right.dimensions()
            if words and concerned <= known and not any(words in other for other in told.values()):
                told.setdefault(name, {})[words] = each.reason
    return {name: tuple(f"{words} ({reason})" for words, reason in found.items()) for name, found in told.items()}


def _words(requirement: Requirement, sizes: Mapping[str, int]) -> str:
    """`height * width = 256`; empty for what is no news, cannot be read, or does not hold."""
    sign = _SIGNS.get(requirement.kind)
    sides = str(requirement.left), str(requirement.right)
    exact = requirement._replace(kind="equal") if requirement.kind == "broadcast" else requirement
    if sign is None or requirement.branch or max(map(len, sides)) > _LONGEST or not exact.holds(sizes):
        return ""
    return f"{sides[0]} {sign} {sides[1]}"
