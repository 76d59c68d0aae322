"""Sent to a device as text, with the sources of the worker: imports them from memory, so that nothing is installed.

Runs there alone, in any Python from 3.10 on, and refers to nothing of mnncompat until it has put it in place.
"""

from __future__ import annotations

import enum
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import typing
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

_OLDEST = (3, 10)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Sources(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules in a dictionary. Packages have no code of their own here."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._packages = {name.rpartition(".")[0] for name in sources} | {"mnncompat"}

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._sources and name not in self._packages:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=name in self._packages)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__file__ = f"/{name.replace('.', '/')}.py"
        text = self._sources.get(name, "")
        exec(compile(text, f"<{name}>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - this is its purpose


def start(sources: Mapping[str, str], program: str) -> None:
    """Make the modules importable, and run the `main` of one of them.

    Args:
        sources: Python text by the full name of the module.
        program: Name of the module.
    """
    if sys.version_info < _OLDEST:
        told = f"Python {sys.version.split()[0]} is too old, {'.'.join(map(str, _OLDEST))} or newer is needed"
        sys.stdout.write(json.dumps({"unavailable": told}) + "\n")
        return
    for name in _ONE_THREAD:  # a fork is safe in a process of one thread
        os.environ.setdefault(name, "1")
    _as_of_3_11()
    sys.meta_path.insert(0, _Sources(sources))
    importlib.import_module(program).main()


def _as_of_3_11() -> None:
    """What the sources use of Python 3.11, for 3.10."""
    if not hasattr(enum, "StrEnum"):

        class StrEnum(str, enum.Enum):  # noqa: UP042 - it stands for the class that the rule names
            __str__ = str.__str__

        enum.StrEnum = StrEnum  # type: ignore[misc,assignment]
    if not hasattr(typing, "Self"):
        space: Any = typing
        space.Self = Any
