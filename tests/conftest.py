"""Fixtures and the Hypothesis profile that all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
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

# Nothing is kept in the home of whoever runs the tests; what is downloaded for them stays where it was.
_HOME = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
os.environ.setdefault("MNNCOMPAT_TEST_DOWNLOADS", _HOME)
os.environ.setdefault("MNNCOMPAT_CACHE", str(Path(_HOME) / "mnncompat"))  # the emulation of arm64, set up once
os.environ.setdefault("PIP_CACHE_DIR", str(Path(_HOME) / "pip"))
_CACHES = tempfile.mkdtemp(prefix="mnncompat-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHES
atexit.register(shutil.rmtree, _CACHES, ignore_errors=True)

# A shell starts its background jobs with these ignored, and children inherit that: tests that send them would wait.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

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


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for each test, so that none remembers what another one found; it does not exist yet."""
    folder = Path(tempfile.mktemp(dir=_CACHES))  # noqa: S306 - nobody else writes there
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder
