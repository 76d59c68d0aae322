"""What the work with one model may take. The process that watches this one (`mnncompat.fleet.watch`) enforces it.

Time and memory are counted from the moment a model is read. Memory is what the process takes beyond what it had then;
it is also this process's `RLIMIT_DATA`, so that an allocation beyond it fails before it is made. Commands that are
about no model of the user's have limits for all that they do, if any are given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mnncompat.errors import ModelError

CHECK_SECONDS, CHECK_BYTES = 12.0, 800_000_000
"""For a model that is only looked at."""
WORK_SECONDS, WORK_BYTES = 12.0, 1_600_000_000
"""For a model that is run or converted."""
MEASURE_SECONDS = 600.0
"""More, if its nodes are measured one by one on MNN."""
_CHECK_SECONDS_PER_MB, _WORK_SECONDS_PER_MB = 30.0, 300.0
_SMALL, _SMALL_SECONDS_PER_MB = 10**6, 4.0
"""Up to this many bytes, a file that is only looked at or rewritten is answered or refused within 20 s, all told."""
_COPIES, _EXTERNAL_COPIES = 16, 6
"""How often the bytes of the file and of those beside it may be in memory at once: parsed, copied, serialised, run."""
_RUNS = 40.0
"""How many times longer than the first draws all the work may take: proofs of both steps, and what they examine."""
BUSY = 4.0
"""How much longer than the default a process may take if it does not get a processor."""
_DEVICE_SECONDS = 1800.0
"""What a slow device may add, all told (`prolong`)."""
_UNBOUNDED = 2**62
_ANSWER_SHARE = 0.6
"""Share of the time that one run of MNN may take, so that a hang of MNN's is a result."""


class Allowance(NamedTuple):
    """What one model may take.

    Attributes:
        seconds: Wall time.
        memory: Bytes beyond what the process had before.
        strict: The user said how many seconds: a busy machine makes no difference.
    """

    seconds: float
    memory: int
    strict: bool


class _State:
    channel: int = -1
    stopped: dict[str, tuple[str, str]]
    seconds: float | None = None
    memory: int | None = None
    runs: bool = False
    measures: bool = False
    rewrites: bool = False
    whole: bool = False
    current: tuple[str, Allowance] | None = None
    base: int = 0
    started: float = 0.0


_STATE = _State()
_STATE.stopped = {}


def supervise(channel: int, stopped: dict[str, tuple[str, str]]) -> None:
    """Report to a supervisor from now on.

    Args:
        channel: Descriptor to write to.
        stopped: Path -> message and hint, of models that were stopped in an earlier attempt.
    """
    _STATE.channel, _STATE.stopped = channel, stopped


def allow(
    *, seconds: float | None, memory: int | None, runs: bool, measures: bool = False, rewrites: bool = False
) -> None:
    """State what each model may take from now on.

    Args:
        seconds: Wall time; None for the default, which grows with the file.
        memory: Bytes; None for the default. What the files take is added.
        runs: The model is run or converted, not only looked at.
        measures: Its nodes are measured one by one.
        rewrites: It is run only to prove rewrites, not converted.
    """
    _STATE.seconds, _STATE.memory, _STATE.current = seconds, memory, None
    _STATE.rewrites = rewrites
    _STATE.runs, _STATE.measures, _STATE.whole = runs or measures, measures, False


def allow_command(*, seconds: float | None, memory: int | None) -> None:
    """State what all the rest of the command may take, whatever it reads.

    Args:
        seconds: Wall time since the command began; None for no limit.
        memory: Bytes of each of its processes; None for no limit.
    """
    if _STATE.channel < 0 or (seconds is None and memory is None):
        return
    _STATE.whole, _STATE.base, _STATE.started = True, _data_bytes(), time.monotonic()
    found = Allowance(seconds or float("inf"), memory or _UNBOUNDED, strict=True)
    _tell("", found)
    _limit_data(_STATE.base + found.memory)


def rest() -> None:
    """No model is worked on until the next one begins: nothing is counted."""
    _STATE.current = None
    if _STATE.channel >= 0:
        _tell("", Allowance(float("inf"), _UNBOUNDED, strict=False))
        _STATE.current = None
        _limit_data(_UNBOUNDED)


@contextmanager
def reading(paths: Iterable[Path]) -> Iterator[None]:
    """Bound the reading of data that options name; where a model is worked on already, what it may take holds.

    A small file may hold very much: an archive of zeros, a picture of 100 megapixels. Seconds are bounded if the user
    said how many, bytes in any case.

    Args:
        paths: Files, and folders of them.
    """
    if _STATE.channel < 0 or _STATE.whole or (_STATE.current is not None and _STATE.current[0]):
        yield
        return
    memory = WORK_BYTES if _STATE.memory is None else _STATE.memory
    seconds = _STATE.seconds or float("inf")
    found = Allowance(seconds, memory + _COPIES * sum(map(_bytes_of, paths)), strict=_STATE.seconds is not None)
    _STATE.base, _STATE.started = _data_bytes(), time.monotonic()
    _tell("", found)
    _limit_data(_STATE.base + found.memory)
    try:
        yield
    finally:
        rest()


def _bytes_of(path: Path) -> int:
    """Bytes of a file, or of those in a folder; 0 for what is not there."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(each.stat().st_size for each in path.iterdir() if each.is_file())
    except (OSError, ValueError):
        return 0


def bounds_memory() -> bool:
    """Whether limits of memory are enforced: where the system says how much a process has."""
    return _data_bytes() > 0


def begin(path: Path, *, external: int = 0) -> None:
    """Start the clock of a model; again, with the size of its external data, once that is known.

    Raises:
        ModelError: The model was stopped in an earlier attempt of the same command.
    """
    name = str(path)
    if name in _STATE.stopped:
        message, hint = _STATE.stopped[name]
        raise ModelError(message, hint=hint)
    known = _STATE.current is not None and _STATE.current[0] == name and not external
    if _STATE.channel < 0 or _STATE.whole or known:
        return
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        return
    if not external:
        _STATE.base = _data_bytes()
    found = allowance(size, external)
    _STATE.started = time.monotonic()
    _tell(name, found)
    _limit_data(_STATE.base + found.memory)


def extend(took: float) -> None:
    """Give the current model more time, as its first draws took so long, unless the user said how much it has.

    Args:
        took: Seconds of the first draws under ONNX Runtime.
    """
    if _STATE.current is None or _STATE.channel < 0:
        return
    name, found = _STATE.current
    seconds = WORK_SECONDS + _RUNS * took
    if not found.strict and seconds > found.seconds:
        _tell(name, found._replace(seconds=seconds))


def prolong(seconds: float) -> None:
    """Give the current model so much more time, unless the user said how much it has: a device is slow.

    Args:
        seconds: Wall time.
    """
    if _STATE.current is not None and _STATE.channel >= 0 and not _STATE.current[1].strict:
        name, found = _STATE.current
        _tell(name, found._replace(seconds=found.seconds + seconds))


def _tell(name: str, found: Allowance) -> None:
    _STATE.current = name, found
    words = (f"{found.seconds}", f"{found.memory}", f"{int(found.strict)}", os.fsencode(name).hex())
    os.write(_STATE.channel, f"{' '.join(words)}\n".encode())


def allowance(size: int, external: int) -> Allowance:
    """What a model may take.

    Args:
        size: Bytes of its file.
        external: Bytes of the files beside it.
    """
    seconds, memory = (WORK_SECONDS, WORK_BYTES) if _STATE.runs else (CHECK_SECONDS, CHECK_BYTES)
    per_mb = _WORK_SECONDS_PER_MB if _STATE.runs else _CHECK_SECONDS_PER_MB
    if _STATE.rewrites and size + external <= _SMALL:
        per_mb = _SMALL_SECONDS_PER_MB
    seconds += per_mb * (size + external) / 1e6 if _STATE.runs or size > _SMALL else 0.0
    seconds += MEASURE_SECONDS if _STATE.measures else 0.0
    memory = memory if _STATE.memory is None else _STATE.memory
    return Allowance(
        seconds=seconds if _STATE.seconds is None else _STATE.seconds,
        memory=memory + _COPIES * size + _EXTERNAL_COPIES * external,
        strict=_STATE.seconds is not None,
    )


def longest(size: int, external: int, *, device: bool = False) -> float:
    """Seconds after which the work with a model has surely been ended, with all that `extend` and `prolong` may add.

    Args:
        size: Bytes of its file.
        external: Bytes of the files beside it.
        device: It is run on a device, which may be slow.
    """
    found = allowance(size, external)
    if found.strict:
        return found.seconds
    return BUSY * (found.seconds * (_RUNS if _STATE.runs else 1.0) + (_DEVICE_SECONDS if device else 0.0))


def seconds_left() -> float:
    """What is left of the time of the current model; infinite if nobody supervises this process."""
    if _STATE.current is None or _STATE.channel < 0:
        return float("inf")
    return _STATE.current[1].seconds - (time.monotonic() - _STATE.started)


def bounds_of_children(seconds: float, memory: int) -> tuple[float, int]:
    """What a child may take of seconds and bytes that it is given, so that it ends before this process is stopped."""
    if _STATE.current is None:
        return seconds, memory
    mine = _STATE.current[1]
    return min(seconds, _ANSWER_SHARE * mine.seconds), min(memory, mine.memory)


def _data_bytes() -> int:
    """Private writable memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _limit_data(wanted: int) -> None:
    import resource

    if not _STATE.base:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
