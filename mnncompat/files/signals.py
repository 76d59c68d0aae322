"""Signals that would end the process wait while something must not be done by halves."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a program from outside, and can be handled."""


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Delay signals that would end the process.

    A signal mask is not enough: in a process with several threads another one may receive the signal, and Python
    handles it in this one. Children that are started meanwhile would inherit it, too.
    """
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    came: list[int] = []
    waiting = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    handlers = {each: signal.signal(each, lambda number, _frame: came.append(number)) for each in waiting}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler or signal.SIG_DFL)
        for number in came[:1]:
            signal.raise_signal(number)
