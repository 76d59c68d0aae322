"""On Windows a clear message says what to do; the modules that it lacks are not imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WINDOWS = "import sys; sys.platform = 'win32'\nfor each in ('fcntl', 'resource', 'pwd'): sys.modules[each] = None\n"


def on_windows(source: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", _WINDOWS + source]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_program_ends_with_a_hint() -> None:
    done = on_windows("from mnncompat.__main__ import run; run()")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first == "error: mnncompat does not run on Windows itself"
    assert second.startswith("hint: run it in WSL")


@pytest.mark.parametrize(
    "call",
    ["check('a')", "fix('a')", "convert('a', 'b')", "verify('a', 'b')", "diagnose('a')", "export('a', [], 'b')"],
)
def test_the_functions_raise(call: str) -> None:
    source = f"import mnncompat\ntry: mnncompat.{call}\nexcept mnncompat.MnncompatError as error: print(error.hint)"
    done = on_windows(source)
    assert done.stdout.startswith("run it in WSL"), done.stderr
