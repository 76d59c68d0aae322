"""The constants of a model: stored ones, and those that the converter computes from them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.inference.constant_folding import constant_value
from mnncompat.support.half_conditions import LARGEST

if TYPE_CHECKING:
    from mnncompat.graph.view import GraphView


class Weights:
    """Constants by name, each computed when it is first asked for.

    Args:
        view: The graph.
        names: Of its constants.
    """

    def __init__(self, view: GraphView, names: Collection[str]) -> None:
        self._view = view
        self._names = names
        self._found: dict[str, np.ndarray | None] = {}

    def get(self, name: str) -> np.ndarray | None:
        """A constant; None for what is not one, or cannot be computed."""
        if name not in self._names:
            return None
        if name not in self._found:
            self._found[name] = constant_value(self._view, name)
        return self._found[name]

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> np.ndarray:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found


def in_half(array: np.ndarray) -> np.ndarray:
    """Float32 elements as they are after having been stored in float16."""
    halves: np.ndarray = np.clip(array, -LARGEST, LARGEST).astype(np.float16)
    return halves.astype(np.float32)
