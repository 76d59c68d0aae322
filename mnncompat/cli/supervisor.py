"""The command runs in a child, forked before anything heavy is imported; this process only watches it.

If the child passes what a model may take, or dies, the command is run again, and the model is reported as one that was
stopped; a command that is about no model ends. Signals end the command whatever the child does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mnncompat.cli.printing import say_error
from mnncompat.files.scratch import remove_stale, temporary_folder
from mnncompat.fleet.watch import Stopped, Watch

_SETTLE_SECONDS = 0.2
"""In which the children of a killed child die."""
_ERROR = 2


def supervised(work: Callable[[], int]) -> int:
    """Run a command in a child.

    Args:
        work: The command; returns the exit status.

    Returns:
        The exit status, in this process only: the child ends with it.
    """
    stopped: Stopped = {}
    while True:
        try:
            watch = Watch(work, stopped)
        except OSError:  # no more processes: unsupervised is better than not at all
            return work()
        status, path, reason = watch.wait()
        if not reason:
            return status
        time.sleep(_SETTLE_SECONDS)
        remove_stale(temporary_folder())
        if not path or path in stopped:
            say_error(reason[0], reason[1])
            return _ERROR
        stopped[path] = reason
