"""Feeds that a function of the user yields: ``--feeds file.py:function`` or ``--feeds package.module:function``.

It is called without arguments and yields, or returns a series of, dictionaries: input name -> array. What it prints
goes to stderr.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mnncompat.errors import UsageError

MOST = 1000
"""How many feeds are taken."""
_FORM = "for instance `feeds.py:draws` or `package.module:draws`"
_DICTIONARIES = "it yields dictionaries: input name -> array"


def call_feeds(target: str) -> tuple[dict[str, np.ndarray], ...]:
    """Call the function and collect its feeds.

    Args:
        target: Where it is.

    Raises:
        UsageError: It does not exist, raises an exception, yields something else, or more than `MOST`.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"--feeds {target} is not MODULE:FUNCTION", hint=_FORM)
    path = Path(place)
    if path.suffix == ".py" and not path.is_file():
        raise UsageError(f"--feeds {place}: no such file", hint="check the path")
    with contextlib.redirect_stdout(sys.stderr), _on_path(str(path.parent) if path.suffix == ".py" else ""):
        try:
            found = getattr(_module(place), name, None)
            items = None if found is None else list(islice(_items(found() if callable(found) else found), MOST + 1))
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"--feeds {target} failed{_where(error)}: {_words(error)}", hint="it is called without arguments"
            ) from error
    if items is None:
        raise UsageError(f"--feeds {target}: {place} has no {name}", hint=_FORM)
    if not items or len(items) > MOST:
        many = f"more than {MOST} feeds" if items else "no feeds"
        raise UsageError(f"--feeds {target} yields {many}", hint=f"yield one to {MOST}")
    return tuple(_feeds(target, number, item) for number, item in enumerate(items, start=1))


def function_of(option: str, target: str) -> Callable[..., Any]:
    """The function of the user that ``file.py:function`` or ``package.module:function`` names. Loading it runs code.

    Args:
        option: What the user wrote it after, for messages.
        target: Where it is.

    Raises:
        UsageError: It does not exist, is no function, or loading it raises an exception.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"{option} {target} is not MODULE:FUNCTION", hint=f"write it as {option} FILE.py:FUNCTION")
    path = Path(place)
    if path.suffix == ".py" and not path.is_file():
        raise UsageError(f"{option} {place}: no such file", hint="check the path")
    with contextlib.redirect_stdout(sys.stderr), _on_path(str(path.parent) if path.suffix == ".py" else ""):
        try:
            found = getattr(_module(place), name, None)
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"{option} {target} failed{_where(error)}: {_words(error)}", hint="loading it runs its code"
            ) from error
    if not callable(found):
        raise UsageError(f"{option} {target}: {place} has no function {name}", hint=f"{option} FILE.py:FUNCTION")
    function: Callable[..., Any] = found
    return function


def called(option: str, target: str, function: Callable[..., Any], *arguments: object) -> Any:
    """What a function of the user returns; what it prints goes to stderr.

    Raises:
        UsageError: It raises an exception.
    """
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return function(*arguments)
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"{option} {target} failed{_where(error)}: {_words(error)}", hint="call it yourself with the same"
            ) from error


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix != ".py":
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _items(found: Any) -> Iterator[Any]:
    return iter([found] if isinstance(found, Mapping) else found)


def _feeds(target: str, number: int, item: Any) -> dict[str, np.ndarray]:
    if not isinstance(item, Mapping) or not item:
        kind = type(item).__name__ if not isinstance(item, Mapping) else "an empty dictionary"
        raise UsageError(f"--feeds {target}: feeds {number} are {kind}", hint=_DICTIONARIES)
    arrays: dict[str, np.ndarray] = {}
    for name, value in item.items():
        try:
            arrays[str(name)] = np.asarray(value)
        except Exception as error:
            raise UsageError(
                f"--feeds {target}: feeds {number} have no array for {name!r}: {_words(error)}", hint=_DICTIONARIES
            ) from error
    return arrays


def _where(error: BaseException) -> str:
    """`` in feeds.py, line 12``: the innermost place in the user's code."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = str(Path(__file__).parent)
    users = [each for each in frames if not each.filename.startswith((own, "<"))]
    outside = [each for each in users if "site-packages" not in each.filename and "importlib" not in each.filename]
    return f" in {outside[-1].filename}, line {outside[-1].lineno}" if outside else ""


def _words(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """Let the user's code import what lies beside it."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
