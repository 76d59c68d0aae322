"""Fixtures and the Hypothesis profile that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("explore", parent=settings.get_profile("ci"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def tutorial() -> Path:
    """The trained fully connected network of the tutorial."""
    return REPOSITORY / "examples" / "mnist" / "mnist-fc.onnx"


@pytest.fixture(scope="session")
def tutorial_by_hand() -> Path:
    """The same weights in the convolution head that the tutorial's author wrote by hand."""
    return REPOSITORY / "examples" / "mnist" / "mnist-conv.onnx"
