"""The trained models."""

from __future__ import annotations

from pathlib import Path

import pytest
import trained


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Folder with the unpacked wheels."""
    return trained.wheels()
