"""What a user has to say where no way to feed a model was found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mnncompat.inference.symbolic_shapes import SymbolicShapes
    from mnncompat.parity.signature import InputSpec


def unfulfilled(symbols: SymbolicShapes) -> str:
    """A requirement that no size fulfils, in words; empty if there is none."""
    found = next((each for each in symbols.requirements if each.kind == "equal"), None)
    return "" if found is None else f"{found.reason} requires {found.left} = {found.right}"


def wanted_options(
    signature: Sequence[InputSpec], symbols: SymbolicShapes, shaped: Collection[str], fed: Collection[str]
) -> str:
    """The options that say shapes and data of all inputs that were guessed, in one command.

    Args:
        signature: The inputs.
        symbols: Their sizes.
        shaped: Those whose shapes the user said.
        fed: Those whose data the user gave.
    """
    shapes = [
        f"--shape {spec.name}:{','.join(str(each) for each in _named(spec, symbols))}"
        for spec in signature
        if spec.name not in shaped and symbols.dimensions.get(spec.name)
    ]
    data = [
        f"--input {spec.name}=FILE.npy"
        for spec in signature
        if spec.name not in fed and spec.dtype is not None and spec.dtype.kind in "iu"
    ]
    ways = [f"shapes, {' '.join(shapes)} with numbers for the names"] if shapes else []
    return " and ".join([*ways, *([f"data, {' '.join(data)}"] if data else [])])


def _named(spec: InputSpec, symbols: SymbolicShapes) -> list[int | str]:
    names = symbols.dimensions.get(spec.name, {})
    return [names.get(axis, dim or 0) for axis, dim in enumerate(spec.shape or ())]
