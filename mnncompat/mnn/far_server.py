"""The worker on a device: a server that forks for every request, and shares no file system with who asks.

Its source is sent to the device, see `mnncompat.devices.far_start`. Frames, on stdin and stdout: one line of JSON, and
the bytes of files after it, as the line's `files` says (`[[name, size], ...]`).

First the server tells its environment. A request is `task`, `arguments`, `limits`, and with it the files that the task
reads: the model as `MODEL`, unless it is that of the request before, and its weights. The answer is how the child ended
(the fields of `Exit`, as `exit`), and the files that it left.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mnncompat.mnn import server, worker
from mnncompat.mnn.confinement import isolate

if TYPE_CHECKING:
    from collections.abc import Iterable

MODEL = "model.mnn"
"""Name of the model in the server's folder."""
WEIGHTS = f"{MODEL}.weight"
CHUNK = 1 << 20
"""Bytes that are read or written at a time."""
_UNWANTED = ("result.json.part",)


def main() -> None:
    """Serve until the requests end."""
    _translate_for_threads()
    requests, answers = server.private_pipes()
    isolate()
    folder = Path(tempfile.mkdtemp(prefix="mnncompat-"))
    try:
        send(answers, _hello(folder))
        _rehearse(folder)
        gc.freeze()
        while (line := requests.readline()).strip():
            _serve(json.loads(line), folder, requests, answers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _translate_for_threads() -> None:
    """Start a thread that ends at once.

    Before the first thread an emulator (QEMU) translates code in another way, and throws all of it away at the second:
    in every child, because MNN starts threads when it loads a model.
    """
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _hello(folder: Path) -> dict[str, Any]:
    try:
        found = server.told_environment("run")
    except ImportError as error:
        return {"unavailable": str(error)}
    home = {name: str(folder) for name in ("HOME", "TMPDIR")}
    os.environ.update(home)
    return found


def _rehearse(folder: Path) -> None:
    """Do once what every child does in Python: an emulator keeps what it translated, for the children too.

    MNN is not run: it would start threads, which a fork does not take along.
    """
    place = folder / "request"
    place.mkdir()
    here = Path.cwd()
    os.chdir(place)
    try:
        worker.rehearse()
    finally:
        os.chdir(here)
        shutil.rmtree(place)
    gc.collect()


def _serve(request: dict[str, Any], folder: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    """One request, in a folder of its own inside the server's."""
    place = folder / "request"
    place.mkdir()
    try:
        for name, size in request["files"]:
            receive(requests, (folder if name in (MODEL, WEIGHTS) else place) / Path(name).name, size)
        if MODEL in dict(request["files"]) and WEIGHTS not in dict(request["files"]):
            (folder / WEIGHTS).unlink(missing_ok=True)
        arguments = request["arguments"] | {"model": str(folder / MODEL)}
        ended = server.performed(request | {"arguments": arguments, "directory": str(place)})
        left = sorted(each for each in place.iterdir() if each.is_file() and each.name not in _UNWANTED)
        given = {name for name, _size in request["files"]}
        send(answers, {"exit": asdict(ended)}, [each for each in left if each.name not in given])
    finally:
        shutil.rmtree(place, ignore_errors=True)


def send(stream: IO[bytes], what: dict[str, Any], files: Iterable[Path] = ()) -> None:
    """Write one frame.

    Args:
        stream: Where.
        what: The line; `files` is added to it.
        files: What follows it.

    Raises:
        OSError: The other side is gone, or a file cannot be read.
    """
    sizes = [(path, path.stat().st_size) for path in files]
    stream.write(json.dumps(what | {"files": [[path.name, size] for path, size in sizes]}).encode() + b"\n")
    for path, _size in sizes:
        with path.open("rb") as file:
            shutil.copyfileobj(file, stream, CHUNK)
    stream.flush()


def receive(stream: IO[bytes], path: Path, size: int) -> None:
    """Read the bytes of one file.

    Raises:
        EOFError: The stream ends before.
    """
    with path.open("wb") as file:
        while size:
            data = stream.read(min(size, CHUNK))
            if not data:
                raise EOFError(f"{path.name} is truncated")
            file.write(data)
            size -= len(data)
