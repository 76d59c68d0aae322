"""The rewrites, one file or folder each. A new one is found by being there: nothing else needs a change."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from mnncompat.rewrites.base import Example, Match, Refusal, Rewrite

__all__ = ["Example", "Match", "Refusal", "Rewrite", "all_rewrites"]


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Instances of every rewrite in this package, ordered by code."""
    found: dict[str, Rewrite] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for candidate in vars(module).values():
            if inspect.isclass(candidate) and issubclass(candidate, Rewrite) and not inspect.isabstract(candidate):
                found[candidate.code] = candidate()
    return tuple(found[code] for code in sorted(found))
