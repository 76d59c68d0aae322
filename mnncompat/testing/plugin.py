"""The pytest plugin: a fixture that is `mnncompat.testing.assert_converts`. Imports nothing heavy until it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mnncompat.converting.converted import Converted


@pytest.fixture
def mnn_converts() -> Callable[..., Converted]:
    """`mnncompat.testing.assert_converts`: fails with the report unless the model converts into a proven file."""
    from mnncompat.testing import assert_converts

    return assert_converts
