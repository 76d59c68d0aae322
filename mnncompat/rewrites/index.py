"""The index of rewrites: every module of the family folders, by the name of its rewrite.

A rewrite is found by the name of its file: ``reduce-axes`` is defined in the module ``reduce_axes.py`` of a family
folder, and nothing else needs a change. Modules without a rewrite hold code that the rewrites of a family share.

`check` imports only the rewrites that its findings name, and those with a search of their own. The latter are
identified by their source, which takes a tenth of the time of importing it; `all_rewrites` refuses a rewrite that
`check` would not see.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from mnncompat.rewrites.core.base import Rewrite

_FAMILIES = os.path.dirname(__file__)  # noqa: PTH120 - as a string: paths cost more than what is done with them
_LONGEST = 1 << 16  # bytes of a module; larger buffers cost more than reading
_SHARED = ("core", "__pycache__")
_CORE = f"{__package__}.core."
_HOLDS_REWRITE = (b"\n    code = ", b"\n    code: ")
"""A statement in the class of every rewrite, with or without a type, and in no module of shared code."""
_REMEDIES = (b"(NodeRewrite):", b"(ModelRewrite):", b"(SettledWhenRead):")
"""The first line of a class whose nodes are found by rows of the table, unless it has a `find` of its own."""


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Instances of every rewrite, in the order in which they are applied; those on request left out.

    Raises:
        TypeError: A rewrite is not where `check` looks for it, or what rewrites say about their order does not fit.
    """
    return tuple(each for each in _every() if not each.on_request)


@cache
def requested_rewrites() -> tuple[Rewrite, ...]:
    """Instances of the rewrites that only an option of the command line asks for."""
    return tuple(each for each in _every() if each.on_request)


def requested_rewrite(name: str, *arguments: Any) -> Rewrite:
    """The rewrite that an option asks for, made with what the option says; imports that one only.

    Args:
        name: Its name.
        *arguments: Of its class.

    Raises:
        KeyError: No rewrite on request is called so.
    """
    rewrite = rewrite_named(name)
    if rewrite is None or not rewrite.on_request:
        raise KeyError(name)
    return type(rewrite)(*arguments)


@cache
def rewrite_named(name: str) -> Rewrite | None:
    """The rewrite of this name, None if there is none; imports that one only."""
    file = _modules().get(name)
    return None if file is None else next((each for each in _rewrites(file) if each.name == name), None)


@cache
def searching_rewrites(*, with_hazard: bool) -> tuple[Rewrite, ...]:
    """Rewrites with a search of their own: no row names them.

    Args:
        with_hazard: Whether the table found a hazard; some match nothing otherwise.
    """
    sources = ((file, _source(file)) for file in _modules().values())
    wanted = (
        file
        for file, source in sources
        if _may_search(source) and (with_hazard or b"\n    needs_hazard = True" not in source)
    )
    return tuple(each for file in wanted for each in _rewrites(file) if searches(each) and not each.on_request)


@cache
def _every() -> tuple[Rewrite, ...]:
    from mnncompat.rewrites.order import in_order

    found: list[Rewrite] = []
    for name, file in _modules().items():
        for rewrite in _rewrites(file) if _holds_rewrite(_source(file)) else ():
            _require_visible(rewrite, name, file)
            found.append(rewrite)
    return in_order(found)


def _require_visible(rewrite: Rewrite, name: str, file: str) -> None:
    """Reject a rewrite that `fix` would find in this module, and `check` would not."""
    if rewrite.name != name:
        own = rewrite.name.replace("-", "_")
        raise TypeError(f"{file}: the rewrite '{rewrite.name}' belongs into a file of its own, {own}.py")
    if searches(rewrite) and not _may_search(_source(file)):
        raise TypeError(
            f"{file}: '{name}' has a `find` that `check` cannot see in this file: define it in the class, "
            "`def find(self, view, target)`, if only to call the one that it takes over"
        )


def searches(rewrite: Rewrite) -> bool:
    """True unless the nodes of a rewrite are found by rows of the table."""
    return not type(rewrite).find.__module__.startswith(_CORE)


def _may_search(source: bytes) -> bool:
    """False if a module holds no rewrite, or only rewrites whose nodes are found by rows of the table."""
    if not _holds_rewrite(source):  # shared code may have a `find` as well
        return False
    return b"\n    def find(" in source or not any(base in source for base in _REMEDIES)


def _holds_rewrite(source: bytes) -> bool:
    return any(each in source for each in _HOLDS_REWRITE)


@cache
def _modules() -> Mapping[str, str]:
    """The file of every module of every family, by the name that its rewrite has."""
    return {
        file.name.removesuffix(".py").replace("_", "-"): file.path
        for folder in _entries(_FAMILIES)
        if folder.name not in _SHARED and folder.is_dir()
        for file in _entries(folder.path)
        if file.name.endswith(".py") and not file.name.startswith("_")
    }


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _source(file: str) -> bytes:
    """The source of a module, by system calls alone: `check` reads all of them."""
    opened = os.open(file, os.O_RDONLY)
    try:
        return os.read(opened, _LONGEST)
    finally:
        os.close(opened)


def _rewrites(file: str) -> list[Rewrite]:
    """Instances of the rewrites that a module defines (not those that it imports)."""
    family, module = os.path.split(os.path.relpath(file, _FAMILIES))
    loaded = importlib.import_module(f"{__package__}.{family}.{module.removesuffix('.py')}")
    return [
        each()
        for each in vars(loaded).values()
        if inspect.isclass(each)
        and issubclass(each, Rewrite)
        and not inspect.isabstract(each)
        and each.__module__ == loaded.__name__
    ]
