"""The index of rewrites: every module of the family folders, by the name of its rewrite.

A rewrite is found by being there: ``reduce-axes`` lives in the module ``reduce_axes.py`` of a family folder, and
nothing else needs a change. Modules without a rewrite hold what the rewrites of a family share.

`check` imports only the rewrites that its findings name, and those that search for their own places. The latter are
told by their source, which defines ``find``: reading it costs a tenth of importing it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from mnncompat.rewrites.core.base import Rewrite

_FAMILIES = Path(__file__).parent
_SHARED = ("core", "__pycache__")
_DEFINES_REWRITE = re.compile(rb"^    name = \"", re.MULTILINE)
_SEARCHES = re.compile(rb"^    def find\(", re.MULTILINE)
_NEEDS_HAZARD = re.compile(rb"^    needs_hazard = True", re.MULTILINE)


@cache
def all_rewrites() -> tuple[Rewrite, ...]:
    """Instances of every rewrite, ordered by code; those that only an option of the command line asks for left out."""
    return tuple(each for each in _every() if not each.on_request)


@cache
def requested_rewrites() -> tuple[Rewrite, ...]:
    """Instances of the rewrites that only an option of the command line asks for, ordered by code."""
    return tuple(each for each in _every() if each.on_request)


@cache
def rewrite_named(name: str) -> Rewrite | None:
    """The rewrite that a row calls by this name, None if there is none; imports that one only."""
    path = _modules().get(name)
    return None if path is None else next((each for each in _rewrites(path) if each.name == name), None)


@cache
def searching_rewrites(*, with_hazard: bool) -> tuple[Rewrite, ...]:
    """Rewrites that find their places themselves: no row names them.

    Args:
        with_hazard: Whether the table found a hazard; some have nothing to look for otherwise.
    """
    sources = ((path, path.read_bytes()) for path in _modules().values())
    wanted = (
        path
        for path, source in sources
        if _SEARCHES.search(source) and (with_hazard or not _NEEDS_HAZARD.search(source))
    )
    return tuple(each for path in wanted for each in _rewrites(path) if not each.on_request)


@cache
def _every() -> tuple[Rewrite, ...]:
    paths = (path for path in _modules().values() if _DEFINES_REWRITE.search(path.read_bytes()))
    return tuple(sorted((each for path in paths for each in _rewrites(path)), key=lambda rewrite: rewrite.code))


@cache
def _modules() -> Mapping[str, Path]:
    """Every module of every family, by the name that its rewrite has."""
    folders = (each for each in _FAMILIES.iterdir() if each.is_dir() and each.name not in _SHARED)
    files = (path for folder in sorted(folders) for path in sorted(folder.glob("[!_]*.py")))
    return {path.stem.replace("_", "-"): path for path in files}


def _rewrites(path: Path) -> list[Rewrite]:
    """Instances of the rewrites that a module defines (not those that it imports)."""
    module = _module(path)
    return [
        each()
        for each in vars(module).values()
        if inspect.isclass(each)
        and issubclass(each, Rewrite)
        and not inspect.isabstract(each)
        and each.__module__ == module.__name__
    ]


def _module(path: Path) -> ModuleType:
    return importlib.import_module(f"{__package__}.{path.parent.name}.{path.stem}")
