"""`--memory-limit` and `--timeout`: for each model, or for all that a command without models does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypedDict

from mnncompat.cli.declared import option
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.mnn import Limits

MemoryLimit = Annotated[
    str | None,
    option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory that the work with one model may take beyond what its files do: `4GB`, `512MB`. Sizes that are "
        "chosen keep to it. [default: 800 MB to look at a model, 1.6 GB to run it]",
    ),
]
Timeout = Annotated[
    float | None,
    option(
        "--timeout",
        metavar="SECONDS",
        help="Time that the work with one model may take, all of it. [default: 12 s, and more for larger files]",
    ),
]
CommandTimeout = Annotated[
    float | None,
    option("--timeout", metavar="SECONDS", help="Time that the command may take, all of it. [default: no limit]"),
]
CommandMemory = Annotated[
    str | None,
    option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory that each process of the command may take: `4GB`, `512MB`. [default: no limit]",
    ),
]

_UNITS = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_MOST_BYTES = 2**62
_MOST_SECONDS = 1e6


def parse_memory(value: str | None) -> int | None:
    """Read ``4GB``, ``512MiB`` or a number of bytes.

    Raises:
        UsageError: It is not a positive size.
    """
    return None if value is None else parse_size(value, "--memory-limit")


def parse_size(value: str, what: str) -> int:
    """Read ``4GB``, ``512MiB`` or a number of bytes.

    Args:
        value: The words.
        what: The option that they were given to.

    Raises:
        UsageError: It is not a positive size.
    """
    number = value.strip().upper().removesuffix("B")
    unit = next((each for each in _UNITS if number.endswith(each)), "")
    try:
        size = float(number.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        size = 0.0
    if not 1 <= size < _MOST_BYTES:
        raise UsageError(f"{what} {value} is not a size", hint="write it as 4GB, 512MB or a number of bytes")
    return int(size)


def parse_timeout(value: float | None) -> float | None:
    """Check a number of seconds.

    Raises:
        UsageError: It is not a positive one.
    """
    if value is not None and not 0 < value <= _MOST_SECONDS:
        raise UsageError(f"--timeout {value:g} is no limit of time", hint="give a positive number of seconds, e.g. 300")
    return value


def child_limits(seconds: float | None) -> Limits:
    """What MNN's children may use, with the time that was asked for."""
    from mnncompat.mnn import Limits

    return Limits() if seconds is None else Limits(seconds=seconds)


class Bounds(TypedDict):
    """Seconds and bytes, None for the default."""

    seconds: float | None
    memory: int | None


def parse_limits(timeout: float | None, memory_limit: str | None) -> Bounds:
    """Read `--timeout` and `--memory-limit`, as `begin_work` takes them.

    Raises:
        UsageError: One of them is no number that makes sense.
    """
    return {"seconds": parse_timeout(timeout), "memory": parse_memory(memory_limit)}
