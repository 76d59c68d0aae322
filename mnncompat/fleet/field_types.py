"""Whether what a file says is of the types that a result declares: what comes from a file is trusted with nothing."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mnncompat import results


def require_types(kind: Any, given: Mapping[str, Any]) -> None:
    """Compare the fields of a record with what its class declares.

    Args:
        kind: The class, of `mnncompat.results`.
        given: Its fields by name.

    Raises:
        TypeError: One is of another type.
    """
    declared = _hints(kind)
    for name, value in given.items():
        if not _fits(value, declared[name]):
            raise TypeError(f"{kind.__name__}.{name} is no {_named(declared[name])}")


def _named(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) and not get_args(wanted) else str(wanted)


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is Any:
        return True
    if wanted is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted is None or wanted is NoneType:
        return value is None
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in get_args(wanted))
    return isinstance(value, origin or wanted) and _PARTS.get(origin, _no_parts)(value, get_args(wanted))


def _no_parts(_value: Any, _parts: tuple[Any, ...]) -> bool:
    return True


def _tuple_fits(value: tuple[Any, ...], parts: tuple[Any, ...]) -> bool:
    if parts[-1] is Ellipsis:
        return all(_fits(each, parts[0]) for each in value)
    return len(value) == len(parts) and all(map(_fits, value, parts))


def _each_fits(value: Any, parts: tuple[Any, ...]) -> bool:
    return all(_fits(each, parts[0]) for each in value)


def _mapping_fits(value: Mapping[Any, Any], parts: tuple[Any, ...]) -> bool:
    return all(_fits(key, parts[0]) and _fits(each, parts[1]) for key, each in value.items())


_PARTS: dict[Any, Callable[[Any, tuple[Any, ...]], bool]] = {
    tuple: _tuple_fits,
    list: _each_fits,
    set: _each_fits,
    frozenset: _each_fits,
    dict: _mapping_fits,
    Mapping: _mapping_fits,
}


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, localns=_names())


@cache
def _names() -> dict[str, Any]:
    """Every class of results: some modules import those of others for type checkers only."""
    modules = [import_module(f"{results.__name__}.{each.name}") for each in pkgutil.iter_modules(results.__path__)]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}
