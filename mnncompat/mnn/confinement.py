"""What the child sets up for itself: limits, no core dumps, no network, no output lost in a crash, few files.

Runs in the child only. Everything here is best effort, as platforms differ; the parent enforces time and output.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

from mnncompat.mnn.landlock import confine_files, version

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_LINE_BUFFERED = {"linux": 1, "darwin": 1}  # _IOLBF of stdio.h
_STDOUT = {"linux": "stdout", "darwin": "__stdoutp"}
_GRACE_SECONDS = 30
_PACKAGE = Path(__file__).resolve().parents[1]
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/proc", "/sys", "/etc/ld.so.cache", "/dev/urandom")
_NETWORK = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


def confine(limits: dict[str, Any], *, parent: int) -> None:
    """Apply all restrictions.

    Args:
        limits: The fields of `Limits`: `seconds`, `memory_bytes`, `file_bytes`.
        parent: Process id of the parent; the child ends when that one does.
    """
    isolate()
    bound(limits, parent=parent)


def isolate() -> None:
    """What a forked child inherits: no network, and output that a crash does not lose."""
    forbid_network()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        _flush_lines()


def bound(limits: dict[str, Any], *, parent: int) -> None:
    """What each child needs for itself: its limits, and an end together with its parent. Arguments as for `confine`."""
    _limit(resource.RLIMIT_CORE, 0)
    bound_memory(limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_CPU, int(limits["seconds"]) + _GRACE_SECONDS)
    end_with(parent)


def see_only(paths: list[str]) -> bool:
    """Give up every file but these, what Python and its libraries need, and the working directory, which is writable.

    Called after MNN is loaded, before it reads anything of the user's.

    Returns:
        Whether the system can do it: Linux with Landlock.
    """
    if not version():  # listing the places takes an emulated child longer than its work
        return False
    installed = {sys.prefix, sys.base_prefix, *sys.path, *sysconfig.get_paths().values(), str(_PACKAGE)}
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    readable = (*_SYSTEM, *filter(None, (*installed, *libraries)), *paths)
    return confine_files(readable=readable, writable=(Path.cwd(), os.devnull))


def forbid_network() -> None:
    """Make every use of a socket from Python raise. MNN's native code has none; its Python tools post telemetry."""
    sys.addaudithook(_refuse_network)


def _refuse_network(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _NETWORK:
        raise PermissionError(f"no network access while MNN runs ({event})")


def bound_memory(most: int) -> None:
    """Limit the private writable memory of this process and of those that it forks, in bytes: not on macOS."""
    _limit(resource.RLIMIT_DATA, most)


def _limit(what: int, most: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(what)
        bounded = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bounded, bounded))


def _flush_lines() -> None:
    """Buffer C's stdout by lines: in a pipe it is buffered in blocks, which are lost in a crash."""
    library = ctypes.CDLL(None)
    stdout = ctypes.c_void_p.in_dll(library, _STDOUT[sys.platform])
    library.setvbuf(stdout, None, ctypes.c_int(_LINE_BUFFERED[sys.platform]), ctypes.c_size_t(0))


def end_with(parent: int) -> None:
    """Linux: be killed when the parent's thread ends, even by SIGKILL, which leaves it no time to clean up."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)
