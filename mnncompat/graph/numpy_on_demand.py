"""numpy, imported when it is first used: that takes as long as all else that a check does, and few checks need it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["np"]


class _OnDemand:
    """Stands for numpy; what it was asked for once, it has."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module("numpy"), name)
        setattr(self, name, found)
        return found


if not TYPE_CHECKING:
    np = _OnDemand()
