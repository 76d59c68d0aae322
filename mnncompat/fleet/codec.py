"""Results as JSON and back, exactly: what a campaign did before is reported as if it had been done now.

Fields keep their names and order. What JSON does not have is an object with one key that begins with `$`:

    {"$": "outcomes.ConvertResult", "source": ..., ...}    a result, by its module and class in `mnncompat.results`
    {"$enum": ["outcomes.Verdict", "converted"]}           a member of an enumeration there
    {"$path": "a/b.onnx"}  {"$float": "inf"}  {"$list": []}  {"$set": []}  {"$map": [[key, value], ...]}

A JSON list is a tuple. Nothing but these classes is made when a file is read, with fields of the types that they
declare, whatever it says: a folder of results may come from somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, cast

from mnncompat.errors import UsageError
from mnncompat.fleet.field_types import require_types

_HOMES = {"mnncompat.results.": "", "mnncompat.report.subject": "subject"}
"""Where the classes are: start of the module's name, and what stands for it."""
_SUBJECT = "subject"


def encoded(value: object) -> Any:
    """A result, or anything that one holds, as what JSON knows.

    Raises:
        TypeError: It holds something else.
    """
    if isinstance(value, Enum):
        return {"$enum": [_named(cast("Hashable", type(value))), value.value]}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if is_dataclass(value) or _is_record(value):
        return _record(value)
    return _collection(value)


def _record(value: Any) -> dict[str, Any]:
    kind = cast("Hashable", type(value))
    return {"$": _named(kind)} | {name: encoded(getattr(value, name)) for name in _fields(kind)}


def _collection(value: object) -> Any:
    match value:
        case PurePath():
            return {"$path": str(value)}
        case tuple():
            return [encoded(each) for each in value]
        case list():
            return {"$list": [encoded(each) for each in value]}
        case set() | frozenset():
            return {"$set": sorted((encoded(each) for each in value), key=str)}
        case Mapping():
            return _mapping(value)
    scalar = getattr(value, "item", None)  # of numpy
    if callable(scalar) and not getattr(value, "shape", None):
        return encoded(scalar())
    raise TypeError(f"a result holds a {type(value).__name__}, which no file of results can keep")


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: encoded(each) for key, each in value.items()}
    return {"$map": [[encoded(key), encoded(each)] for key, each in value.items()]}


def decoded(value: Any) -> Any:
    """What `encoded` was given.

    Raises:
        UsageError: It is nothing that `encoded` makes.
    """
    if isinstance(value, list):
        return tuple(decoded(each) for each in value)
    if not isinstance(value, dict):
        return value
    kind = next((key for key in value if key.startswith("$")), None)
    if kind is None:
        return {key: decoded(each) for key, each in value.items()}
    try:
        return _made(value) if kind == "$" else _READERS[kind](value[kind])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(
            f"a result says something that this version does not know: {error}",
            hint="read it with the version that wrote it, or give another folder",
        ) from error


def _made(value: Mapping[str, Any]) -> Any:
    kind = _class(value["$"])
    given = {name: decoded(each) for name, each in value.items() if name != "$"}
    unknown = given.keys() - set(_fields(kind))
    if unknown:
        raise ValueError(f"{value['$']} has no {', '.join(sorted(unknown))}")
    require_types(kind, given)
    return kind(**given)


def _enum(value: Any) -> Enum:
    name, member = value
    found = _class(name)(member)
    if not isinstance(found, Enum):
        raise TypeError(f"{name} is no enumeration")
    return found


def _map(value: Any) -> dict[Any, Any]:
    return {decoded(key): decoded(each) for key, each in value}


def _floating(value: Any) -> float:
    return float(str(value))


_READERS: dict[str, Callable[[Any], Any]] = {
    "$enum": _enum,
    "$path": Path,
    "$float": _floating,
    "$list": lambda value: [decoded(each) for each in value],
    "$set": lambda value: frozenset(decoded(each) for each in value),
    "$map": _map,
}


def _is_record(value: object) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """What a class is made of."""
    if is_dataclass(kind):
        return tuple(each.name for each in fields(kind) if each.init)
    return tuple(kind._fields)


@cache
def _named(kind: Any) -> str:
    module = kind.__module__
    short = next((module.removeprefix(home) or told for home, told in _HOMES.items() if module.startswith(home)), "")
    if not short or "." in short:
        raise TypeError(f"a result holds a {kind.__name__}, which is none of the package's results")
    return f"{short}.{kind.__qualname__}"


@cache
def _class(name: str) -> Any:
    module, _, own = str(name).partition(".")
    home = "mnncompat.report.subject" if module == _SUBJECT else f"mnncompat.results.{module}"
    if not module.isidentifier() or not own.isidentifier():
        raise ValueError(f"{name} is no result")
    try:
        found = getattr(import_module(home), own)
    except ImportError as error:
        raise ValueError(f"{name} is no result") from error
    is_ours = isinstance(found, type) and found.__module__ == home
    if not is_ours or not (is_dataclass(found) or issubclass(found, Enum) or hasattr(found, "_fields")):
        raise ValueError(f"{name} is no result")
    return found
