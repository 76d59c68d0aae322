"""A Python environment whose MNN is a fake: the converter executes the model's text."""

from __future__ import annotations

import site
import sys
from pathlib import Path

import pytest

_TOOLS = '''
"""Stands in for the converter: the model is Python source, and runs with `written` as the file to write."""
import pathlib

state = []

def mnnconvert(argv):
    source = pathlib.Path(argv[argv.index("--modelFile") + 1]).read_text()
    exec(source, {"written": pathlib.Path(argv[argv.index("--MNNModel") + 1]), "state": state})
    return True
'''


_UNCONFINED = """
from mnncompat.mnn import worker

worker.see_only = lambda paths: False
"""


@pytest.fixture(scope="session")
def fake_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter for which `_tools` and `MNN` are fakes, and everything else is as here."""
    return _environment(tmp_path_factory.mktemp("environment"), _TOOLS)


@pytest.fixture(scope="session")
def unconfined_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose children may reach files and processes outside: how a test hears from them."""
    return _environment(tmp_path_factory.mktemp("unconfined"), _TOOLS + _UNCONFINED)


def _environment(folder: Path, tools: str) -> Path:
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    python.symlink_to(base)
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (packages / "real.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (packages / "_tools.py").write_text(tools)
    (packages / "MNN").mkdir()
    for module in ("__init__", "expr", "nn"):
        (packages / "MNN" / f"{module}.py").write_text("")
    (packages / "MNN-9.9.9.dist-info").mkdir()
    (packages / "MNN-9.9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: MNN\nVersion: 9.9.9\n")
    return python
