"""The rewrites, one file or folder each. A new one is found by being there: nothing else needs a change.

A rewrite that a row of the table names as its remedy lives in the module of its name, ``reduce-axes`` in
``reduce_axes.py``, so that a check imports only those that it needs.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from functools import cache
from types import ModuleType

from mnncompat.rewrites.base import Example, Match, Refusal, Rewrite

__all__ = ["Example", "Match", "Refusal", "Rewrite", "all_rewrites", "rewrite_named", "searching_rewrites"]

_SEARCHING = ("fully_connected",)
_SEARCHING_TROUBLE = ("fold_constants",)


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Instances of every rewrite in this package, ordered by code."""
    found = [each for info in pkgutil.iter_modules(__path__) for each in _rewrites(_module(info.name))]
    return tuple(sorted(found, key=lambda rewrite: rewrite.code))


@cache
def rewrite_named(name: str) -> Rewrite | None:
    """The rewrite that a row calls by this name, None if there is none; imports that one only."""
    module = name.replace("-", "_")
    if importlib.util.find_spec(f"{__name__}.{module}") is None:
        return None
    return next((each for each in _rewrites(_module(module)) if each.name == name), None)


@cache
def searching_rewrites(*, troubled: bool) -> tuple[Rewrite, ...]:
    """Rewrites that find their places themselves: no row names them.

    Args:
        troubled: Whether anything is in trouble at all; some look no further if nothing is.
    """
    names = (*_SEARCHING, *(_SEARCHING_TROUBLE if troubled else ()))
    return tuple(each for name in names for each in _rewrites(_module(name)))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def _rewrites(module: ModuleType) -> list[Rewrite]:
    """Rewrites that a module defines (not those that it imports)."""
    return [
        each()
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, Rewrite)
        and not inspect.isabstract(each)
        and each.__module__ == module.__name__
    ]
