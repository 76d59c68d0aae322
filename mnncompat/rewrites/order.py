"""The order of rewrites: where two match the same node in the same round, the first one is applied.

Most rewrites never match the same node. Those that do state which goes first, and why (`Rewrite.before`); all others
are ordered by name, so that neither a code nor a folder has an influence.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping

from mnncompat.rewrites.core.base import Rewrite

EVERY = "*"
"""In `Rewrite.before`: every other rewrite except those that come before this one."""


def in_order(rewrites: Iterable[Rewrite]) -> tuple[Rewrite, ...]:
    """Order rewrites so that each comes before those that it names in `Rewrite.before`, otherwise by name.

    Raises:
        TypeError: A name means no rewrite, a reason is empty, or rewrites come before each other in a circle.
    """
    by_name = {each.name: each for each in rewrites}
    behind = followers(by_name.values())
    waiting = dict.fromkeys(by_name, 0)
    for name in (name for names in behind.values() for name in names):
        waiting[name] += 1
    ready = sorted(name for name, count in waiting.items() if not count)
    found: list[Rewrite] = []
    while ready:
        first = heapq.heappop(ready)
        found.append(by_name[first])
        for name in behind[first]:
            waiting[name] -= 1
            if not waiting[name]:
                heapq.heappush(ready, name)
    if len(found) < len(by_name):
        left = ", ".join(sorted(by_name.keys() - {each.name for each in found}))
        raise TypeError(f"these rewrites come before each other in a circle, or after one: {left}")
    return tuple(found)


def followers(rewrites: Iterable[Rewrite]) -> Mapping[str, Collection[str]]:
    """For each rewrite the names of the rewrites that it comes before.

    Raises:
        TypeError: A name means no rewrite, or a reason is empty.
    """
    known = {each.name: each for each in rewrites}
    found: dict[str, Collection[str]] = {}
    for each in known.values():
        for name, reason in each.before:
            if name not in known and name != EVERY:
                raise TypeError(f"'{each.name}' stands before '{name}', which is no rewrite")
            if not reason:
                raise TypeError(f"'{each.name}' stands before '{name}' without a reason")
        named = {name for name, _ in each.before}
        if EVERY in named:
            first = {other.name for other in known.values() if each.name in dict(other.before)}
            named = known.keys() - first - {each.name}
        found[each.name] = named
    return found
