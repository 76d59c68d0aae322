"""Devices for tests: the worker in another Python of this machine, and the emulation where a test asks for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from mnncompat import mnn
from mnncompat.devices.device import set_up_for
from mnncompat.devices.far_worker import START, FarWorker
from mnncompat.devices.setup import compile_there, set_up
from mnncompat.mnn import ConvertOptions, Limits
from mnncompat.mnn.request import python_command
from mnncompat.support.releases import installed_version

LEFT_OUT = "MNNCOMPAT_NO_DEVICE"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    """Python with MNN and numpy, and without mnncompat: the command, and its environment."""
    site = tmp_path_factory.mktemp("site")
    for place in map(Path, dict.fromkeys(python_places())):
        for each in place.iterdir():
            if each.name.lower().startswith(("mnn", "_mnn", "numpy")) and not each.name.startswith("mnncompat"):
                (site / each.name).symlink_to(each)
    environment = {"PYTHONPATH": str(site), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return [sys.executable, "-S", "-B", "-c", START], environment


def python_places() -> list[str]:
    """Folders in which MNN and numpy are."""
    import json

    places: list[list[str]] = json.loads(python_command("worker")[-1])[2:]
    return [each for part in places for each in part]


@pytest.fixture(scope="session")
def near(bare_python: tuple[list[str], dict[str, str]]) -> Iterator[FarWorker]:
    """The worker as a device has it, on this machine."""
    command, environment = bare_python
    with FarWorker(command, name="near", environment=environment) as worker:
        yield worker


@pytest.fixture(scope="session")
def sum_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = x + b, of any number of columns."""
    folder = tmp_path_factory.mktemp("sum")
    values = [helper.make_tensor_value_info(each, TensorProto.FLOAT, [1, "n"]) for each in ("x", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "b"], ["y"])], "sum", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "sum.onnx").write_bytes(model.SerializeToString())
    mnn.convert(folder / "sum.onnx", folder / "sum.mnn", options=ConvertOptions(), limits=Limits())
    return folder / "sum.mnn"


@pytest.fixture(scope="session")
def sum_feeds() -> dict[str, np.ndarray]:
    return {"x": np.array([[2048.0, 3.0]], np.float32), "b": np.array([[1.0, -5.0]], np.float32)}


@pytest.fixture(scope="session")
def emulation() -> None:
    """The emulation of arm64, set up where it is missing; it stays for the next run, in the user's cache."""
    if os.environ.get(LEFT_OUT):
        pytest.skip(f"left out: {LEFT_OUT} is set")
    release = installed_version()
    assert release is not None
    found = set_up(release, say=lambda _: None)
    compile_there(found, release)
    assert set_up_for(release) == found
