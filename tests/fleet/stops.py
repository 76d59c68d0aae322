"""A campaign over releases of MNN and both precisions of emulated arm64 that is stopped again and again.

    python tests/fleet/stops.py --models 3 --release 3.0.0 --release 3.6.1 --device arm64

It is stopped by Ctrl-C, by SIGTERM and by SIGKILL, each at a random moment, and goes on each time; what it has kept in
the end has to be what a campaign has kept that was not stopped, byte for byte. Exit status 1 if it is not.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import zoo
from campaigns import RUN, results

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def parts(given: argparse.Namespace) -> Iterator[list[str]]:
    """The command lines of the campaign, but for the folder of results."""
    devices = [["--device", given.device, "--precision", each] for each in ("high", "low")] if given.device else [[]]
    for release, device in itertools.product(given.release, devices):
        yield [*given.command.split(), ".", "--release", release, *device, *given.engine.split()]


def run(words: Sequence[str], place: Path, stop: tuple[float, signal.Signals] | None) -> bool:
    """Run a command, and stop it after a while; whether it ended by itself."""
    with subprocess.Popen(
        [*RUN, *words], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        if stop is None:
            process.wait()
            return True
        try:
            process.wait(timeout=stop[0])
        except subprocess.TimeoutExpired:
            (os.killpg if stop[1] == signal.SIGINT else os.kill)(process.pid, stop[1])  # a terminal tells all
            return False
    return True


def campaign(place: Path, folder: Path, given: argparse.Namespace, stops: list[tuple[float, signal.Signals]]) -> None:
    """Run all parts; whatever is stopped is begun anew."""
    for words in parts(given):
        while not run([*words, "--results", str(folder)], place, stops.pop(0) if stops else None):
            print(f"stopped: {len(results(folder))} results so far", flush=True)


def main() -> int:
    """Run both campaigns; 1 if they do not give the same."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--release", action="append", help="of MNN; repeatable")
    parser.add_argument("--device", default="", help="to run the converted files on")
    parser.add_argument("--command", default="convert --dry-run", help="and its options, in one word")
    parser.add_argument("--engine", default="--jobs 2", help="where it is done")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "models"
        zoo.write(place, given.models)
        begun = time.monotonic()
        campaign(place, Path(folder) / "whole", given, [])
        took = time.monotonic() - begun
        share = took / len(list(parts(given)))
        stops = [(draw.uniform(0.1, 0.9) * share, each) for each in _SIGNALS]
        campaign(place, Path(folder) / "stopped", given, list(stops))
        whole, stopped = results(Path(folder) / "whole"), results(Path(folder) / "stopped")
        lost, differing = whole.keys() - stopped.keys(), [each for each in whole if stopped.get(each) != whole[each]]
        left = [each.name for each in (Path(folder) / "stopped" / "results").glob("*/*") if each.suffix != ".json"]
    told = ", ".join(f"{signal.Signals(number).name} after {moment:.1f} s" for moment, number in stops)
    print(f"{len(whole)} results in {took:.0f} s without a stop; with {told}: {len(stopped)} results")
    print(
        f"{len(lost)} lost, {len(differing)} differ, {len(stopped.keys() - whole.keys())} too many, left over: {left}"
    )
    return int(bool(differing or left or stopped.keys() != whole.keys()))


if __name__ == "__main__":
    sys.exit(main())
