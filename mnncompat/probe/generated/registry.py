"""Generators register here: one function an operator, or one function for a family of alike operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from mnncompat.probe.generated.precision import Precision

if TYPE_CHECKING:
    from mnncompat.probe.generated.sample import Sample

Build = Callable[["Sample"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """How cases of one operator are drawn.

    Attributes:
        op: Its op type.
        form: What else is in the graph, for graphs of several nodes that models hold as one; empty for the plain node.
        build: Fills the graph of a sample.
        weight: Cases in a corpus of the default size.
        precision: What the operator does to numbers.
        oldest: The first opset drawn.
        latest: The last opset drawn, None for the newest.
    """

    op: str
    form: str
    build: Build
    weight: int
    precision: Precision
    oldest: int
    latest: int | None

    @property
    def name(self) -> str:
        """What ids call it: the op type, and the form behind a hyphen."""
        return f"{self.op}-{self.form}" if self.form else self.op


_GENERATORS: dict[str, Generator] = {}


def generator(
    *ops: str,
    weight: int,
    form: str = "",
    precision: Precision = Precision.ARITHMETIC,
    oldest: int = 0,
    latest: int | None = None,
) -> Callable[[Build], Build]:
    """Register a function as the generator of one or more op types.

    Args:
        ops: The op types. The function reads which one is wanted from `sample.op`.
        weight: Cases of each in a corpus of the default size.
        form: What else is in the graph, empty for the plain node.
        precision: What the operators do to numbers.
        oldest: The first opset drawn, where an earlier version is written by no exporter or run by no runtime.
        latest: The last opset drawn.
    """

    def register(build: Build) -> Build:
        for op in ops:
            made = Generator(
                op=op, form=form, build=build, weight=weight, precision=precision, oldest=oldest, latest=latest
            )
            if made.name in _GENERATORS:
                raise ValueError(f"{made.name} has two generators")
            _GENERATORS[made.name] = made
        return build

    return register


@cache
def generators() -> dict[str, Generator]:
    """All generators by name, in alphabetical order. Imports the modules of `families`."""
    from mnncompat.probe.generated import families

    for module in sorted(each.name for each in iter_modules(families.__path__)):
        import_module(f"{families.__name__}.{module}")
    return dict(sorted(_GENERATORS.items()))
