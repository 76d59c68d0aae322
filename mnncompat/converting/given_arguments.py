"""What the public functions are given, as the commands take it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx import ModelProto

    from mnncompat.fixing.selection import Chosen
    from mnncompat.graph.model_file import Model
    from mnncompat.parity import Given, RealData


def given_path(out: Path | str | None) -> Path | None:
    """A path, or None."""
    return None if out is None else Path(out)


def chosen_rewrites(select: Sequence[str], ignore: Sequence[str], *, unsafe: bool) -> Chosen:
    """The rewrites and the rows that are chosen, see `mnncompat.fixing.selection.choose`."""
    from mnncompat.checking.rule_catalog import is_rule
    from mnncompat.fixing.selection import choose

    return choose(select=select, ignore=ignore, unsafe=unsafe, is_rule=is_rule)


def given_data(inputs: Given | None, *, only: bool) -> RealData | None:
    """Real data, or None where there are none and others are drawn."""
    from mnncompat.parity import real_data

    return None if inputs is None and not only else real_data(inputs, only=only)


def given_model(model: Path | str | ModelProto) -> Model:
    """The model, read if it is a path."""
    from mnncompat.graph.model_file import from_proto, load

    return load(model) if isinstance(model, (str, Path)) else from_proto(model)
