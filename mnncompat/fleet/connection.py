"""A client of a Dask scheduler, and what the scheduler says of itself."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnncompat.errors import RunnerError, UsageError

_ADDRESS = "write it as tcp://HOST:8786, or name a file"
_CERTIFICATES = (
    "Dask's configuration names certificate and key, here, for the scheduler and for workers: "
    "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT, ..._TLS__CLIENT__KEY"
)
_CONNECT_SECONDS = 15
_TALKATIVE = ("asyncio", "distributed", "tornado")
_ANSWER_SECONDS = 30.0
"""In which a scheduler says who is there."""
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Between questions to a scheduler that does not answer."""


def connected(address: str) -> Any:
    """A client of a scheduler.

    Args:
        address: `tcp://...`, `tls://...`, or the file that a scheduler wrote.

    Raises:
        RunnerError: Dask is not installed, or no scheduler answers.
        UsageError: It is no address.
    """
    if not address.strip():
        raise UsageError("--scheduler is empty", hint=_ADDRESS)
    try:
        from distributed import Client
    except ImportError as error:
        raise RunnerError(
            f"--scheduler needs Dask: {error}",
            hint='install it: pip install "mnncompat[dask]", here and on the workers',
        ) from error
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    file, secured = Path(address), address.startswith("tls://")
    where = {"scheduler_file": address} if file.is_file() else {"address": address}
    try:
        return Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False, name="mnncompat")
    except (OSError, TimeoutError) as error:
        hint = _CERTIFICATES if secured else "start one (`dask scheduler`), and give the address that it prints"
        raise RunnerError(
            f"no Dask scheduler answers at {address}: {' '.join(str(error).split())}", hint=hint
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        if secured:
            raise UsageError(f"no connection to {address}: {error}", hint=_CERTIFICATES) from error
        raise UsageError(f"--scheduler {address} is no address: {error}", hint=_ADDRESS) from error


def identity(client: Any) -> Mapping[str, Any]:
    """What a scheduler says of itself; one that is busy is asked again.

    Raises:
        RunnerError: It is gone.
    """
    for pause in _PAUSES:
        with contextlib.suppress(Exception):
            found: Mapping[str, Any] = client.sync(client.scheduler.identity, callback_timeout=_ANSWER_SECONDS)
            return found
        time.sleep(pause)
    raise gone()


def gone() -> RunnerError:
    """That a scheduler does not answer any more."""
    return RunnerError(
        "the Dask scheduler is gone", hint="what is done is kept with --results DIR: start it, and run again"
    )
