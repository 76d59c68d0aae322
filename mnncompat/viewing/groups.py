"""Groups in which a graph is drawn: modules, repeated blocks, and sections where there are too many nodes for both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mnncompat.viewing.repeated_blocks import repeated
from mnncompat.viewing.strings import Strings

_MANY = 24
"""Members of a group from which on repeated blocks are looked for."""
_TOO_MANY = 150
"""Members that are shown beside one another at most; more are divided into sections."""
ROOT = -1


class Group:
    """A group of nodes and groups.

    Attributes:
        label: Its name.
        kind: ``module``, ``block``, ``section`` or ``body`` (of a branch, a loop or a function).
        members: Nodes by their numbers, and groups, in the order of computation.
    """

    __slots__ = ("children", "kind", "label", "members")

    def __init__(self, label: str, kind: str) -> None:
        self.label = label
        self.kind = kind
        self.members: list[int | Group] = []
        self.children: dict[object, Group] = {}

    def inner(self, key: object, label: str, kind: str) -> Group:
        """The group in this one with that key, made when it is first asked for."""
        found = self.children.get(key)
        if found is None:
            found = self.children[key] = Group(label, kind)
            self.members.append(found)
        return found


def grouped(root: Group, kinds: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Divide a tree further where it has many members, and write it down.

    Args:
        root: The whole graph; changed.
        kinds: Operator of each node.
        names: Name of each node.

    Returns:
        Columns with an entry for each group, parents first: `label`, `kind`, `parent` (-1 for the whole graph), `like`
        (equal for groups of the same structure, -1 for one that is alone); and `of`, the group of each node.
    """
    tokens = Strings()
    _simplified(root)
    _divided(root, kinds, names, tokens)
    return _columns(root, len(kinds), _fingerprints(root, kinds, tokens))


def _simplified(root: Group) -> None:
    """Dissolve groups of one node, and write a group that holds one group alone as one."""
    for group in reversed(list(_walk(root))):
        members: list[int | Group] = []
        for each in group.members:
            if isinstance(each, Group) and each.kind != "body" and len(each.members) == 1:
                only = each.members[0]
                if isinstance(only, Group) and only.kind == each.kind:
                    only.label = f"{each.label}/{only.label}"
                each = only  # noqa: PLW2901 - takes its place
            members.append(each)
        group.members = [each for each in members if not isinstance(each, Group) or each.members]


def _walk(root: Group) -> Iterable[Group]:
    """The group and all inside of it, parents first."""
    waiting = [root]
    while waiting:
        group = waiting.pop()
        yield group
        waiting += [each for each in reversed(group.members) if isinstance(each, Group)]


def _divided(root: Group, kinds: Sequence[str], names: Sequence[str], tokens: Strings) -> None:
    for group in list(_walk(root)):
        if len(group.members) >= _MANY:
            _into_blocks(group, kinds, tokens)
    for group in list(_walk(root)):
        _into_sections(group, names)


def _into_blocks(group: Group, kinds: Sequence[str], tokens: Strings) -> None:
    members = group.members
    shapes = _fingerprints(group, kinds, tokens)
    row = [tokens.number(kinds[each]) if isinstance(each, int) else shapes[id(each)] for each in members]
    runs = [run for run in repeated(row) if run.period < len(members)]
    found: list[int | Group] = []
    place = 0
    for number, run in enumerate(runs, 1):
        found += members[place : run.start]
        for time in range(run.times):
            which = f" {number}" if len(runs) > 1 else ""
            block = Group(f"block{which}, {time + 1} of {run.times}", "block")
            block.members = members[run.start + time * run.period : run.start + (time + 1) * run.period]
            found.append(block)
        place = run.end
    group.members = found + members[place:]


def _into_sections(group: Group, names: Sequence[str]) -> None:
    while len(group.members) > _TOO_MANY:
        size = max(math.ceil(math.sqrt(len(group.members))), 20)
        found: list[int | Group] = []
        for start in range(0, len(group.members), size):
            section = Group("", "section")
            section.members = group.members[start : start + size]
            first, last = (_label(section.members[at], names) for at in (0, -1))
            section.label = f"{first} … {last}"
            found.append(section)
        group.members = found


def _label(member: int | Group, names: Sequence[str]) -> str:
    return names[member] if isinstance(member, int) else member.label.partition(" … ")[0]


def _fingerprints(root: Group, kinds: Sequence[str], tokens: Strings) -> dict[int, int]:
    """Number of the structure of each group inside, by its identity: of what kinds its members are, in order."""
    found: dict[int, int] = {}
    for group in reversed(list(_walk(root))):
        parts = [kinds[each] if isinstance(each, int) else f"#{found[id(each)]}" for each in group.members]
        found[id(group)] = tokens.number(f"({','.join(parts)})")
    return found


def _columns(root: Group, nodes: int, shapes: dict[int, int]) -> dict[str, Any]:
    groups = [each for each in _walk(root) if each is not root]
    numbers = {id(each): number for number, each in enumerate(groups)}
    counts = Counter(shapes[id(each)] for each in groups)
    likes = {shape: number for number, shape in enumerate(shape for shape, count in counts.items() if count > 1)}
    parent, of = [ROOT] * len(groups), [ROOT] * nodes
    for group in (root, *groups):
        for each in group.members:
            inside = numbers.get(id(group), ROOT)
            if isinstance(each, int):
                of[each] = inside
            else:
                parent[numbers[id(each)]] = inside
    return {
        "label": [each.label for each in groups],
        "kind": [each.kind for each in groups],
        "parent": parent,
        "like": [likes.get(shapes[id(each)], -1) for each in groups],
        "of": of,
    }
