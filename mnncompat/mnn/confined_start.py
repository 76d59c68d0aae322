"""Start a program that may read few files, write in one folder, and ends with its parent: for an emulator.

The emulated process cannot confine itself, because emulators do not know Landlock, and ignore limits of memory; what
this one gives up it has given up as well, and so has each process that it forks.
"""

from __future__ import annotations

import json
import os
import sys

from mnncompat.mnn.confinement import bound_memory, end_with
from mnncompat.mnn.landlock import confine_files

_SYSTEM = ("/proc", "/sys", "/dev/urandom", "/dev/random", "/etc/localtime")


def main() -> None:
    """Become the program: the argument is a JSON object with `parent`, `memory`, `readable`, `writable`, `command`."""
    given = json.loads(sys.argv[2])
    end_with(given["parent"])
    bound_memory(given["memory"])
    confine_files(readable=(*_SYSTEM, *given["readable"]), writable=(*given["writable"], os.devnull))
    os.execv(given["command"][0], given["command"])  # noqa: S606 - the command is the device's own
