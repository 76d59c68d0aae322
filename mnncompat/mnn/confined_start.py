"""Start a program that may read few files, write in one folder, and ends with its parent: for an emulator.

The emulated process cannot confine itself, because emulators do not know Landlock; what this one gives up it has given
up as well.
"""

from __future__ import annotations

import json
import os
import sys

from mnncompat.mnn.confinement import end_with
from mnncompat.mnn.landlock import confine_files

_SYSTEM = ("/proc", "/sys", "/dev/urandom", "/dev/random", "/etc/localtime")


def main() -> None:
    """Become the program: the arguments are a JSON object with `parent`, `readable`, `writable` and `command`."""
    given = json.loads(sys.argv[2])
    end_with(given["parent"])
    confine_files(readable=(*_SYSTEM, *given["readable"]), writable=(*given["writable"], os.devnull))
    os.execv(given["command"][0], given["command"])  # noqa: S606 - the command is the device's own
