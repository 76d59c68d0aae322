"""Runs commands on mutants, one after the other: `fuzz.py` starts it, and starts it again when it dies.

Each command runs in a fork of this process, which has imported everything, under the supervisor that `mnncompat` runs
it under. Reads a line of JSON for each (the words of a command), and answers with a line: exit status, seconds, and the
traceback location of an unexpected exception, wherever it was caught.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import onnxruntime  # noqa: F401 - imported here, not in each fork

from mnncompat.cli import main
from mnncompat.cli.supervisor import supervised

_PACKAGE = Path(sys.modules["mnncompat"].__file__ or "").parent
_CAUGHT = ("it failed: ", "a bug in mnncompat", "internal error", "was ended by SIG")


def serve() -> None:
    """Answer until the input ends."""
    os.environ["MNNCOMPAT_TRACEBACK"] = "1"
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    import mnncompat.converting.pipeline
    import mnncompat.fixing.transaction  # noqa: F401
    from mnncompat.rewrites.index import all_rewrites

    all_rewrites()
    for line in sys.stdin:
        answers.write(json.dumps(answered(json.loads(line))) + "\n")
        answers.flush()


def answered(words: list[str]) -> dict[str, Any]:
    """Run one command in a supervised fork; the answer of its last attempt."""
    reading, writing = os.pipe()
    begin = time.monotonic()

    def work() -> int:
        os.write(writing, (json.dumps(outcome(words)) + "\n").encode())
        return 0

    status = supervised(work)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = stream.read().splitlines()
    told = {"status": status, "place": f"ended with {status} without an answer"}
    return {**(json.loads(lines[-1]) if lines else told), "seconds": time.monotonic() - begin}


def outcome(words: list[str]) -> dict[str, Any]:
    """Run one command and say how it ended."""
    out, err = io.StringIO(), io.StringIO()
    begin = time.monotonic()
    status, place, said = 0, "", ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            _break(os.environ.get("FUZZ_BREAK", ""))
            status = main(words)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        place, said = f"{type(error).__name__} {_location(error)}", str(error)
    printed = out.getvalue() + err.getvalue()
    if not place and any(each in printed for each in _CAUGHT):
        place = "caught " + next(line for line in printed.splitlines() if any(each in line for each in _CAUGHT))[:200]
    if not place and status not in (0, 1, 2):
        place = f"exit status {status}"
    said = said or next((line for line in err.getvalue().splitlines() if line.startswith("error:")), "")
    return {"status": status, "seconds": time.monotonic() - begin, "place": place, "said": said[:300]}


def _break(how: str) -> None:
    """Go wrong on purpose: the test of the fuzzer asks for it."""
    held = []
    while how in ("hang", "memory"):
        time.sleep(0.01)
        if how == "memory":
            held.append(bytearray(b"1") * 50_000_000)
    if how == "error":
        raise ZeroDivisionError


def _location(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    last = (own or list(frames))[-1]
    return f"{Path(last.filename).name}:{last.lineno} {last.name}"


if __name__ == "__main__":
    serve()
