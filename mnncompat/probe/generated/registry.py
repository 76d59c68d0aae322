"""Registry of generators: a function for each operator, or for a family of similar operators."""

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
        form: What else is in the graph, for patterns of several nodes; empty for the plain node.
        build: Fills the graph of a sample.
        weight: Cases in a corpus of the default size.
        precision: The kind of arithmetic of the operator.
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
        """Its name in ids: the op type, and the form after a hyphen."""
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
        precision: The kind of arithmetic of the operators.
        oldest: The first opset drawn; no exporter writes, or no runtime runs, an earlier version.
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
