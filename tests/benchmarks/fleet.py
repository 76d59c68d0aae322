"""What a cluster costs beside the work: a thousand models in one process, and on two workers of one thread each.

    python tests/benchmarks/fleet.py --command check --models 1000 --rounds 3
    python tests/benchmarks/fleet.py --command "convert --dry-run" --models 200

Processor seconds are compared, those of the scheduler, the workers and their children included: with as many cores as
workers, the throughput is that share of the cores' (1.0: nothing is lost). The cluster is there before. What its
processes take while they wait is measured, and counts for as long as the campaign takes on a machine that does nothing
else. The share is told of whole commands, and of models alone, without what both commands take for a campaign of one
model, which is mostly imports. Both folders of results have to be the same. Exit status 1 if they are not, or the share
of models is below 0.8.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fleet"))

import zoo
from campaigns import HERE, RUN, results

LEAST = 0.8


IDLE_SECONDS = 5.0


def spent(process: psutil.Process) -> float:
    """Processor seconds of a process and of all below it, ended ones too."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # its parent has its times
            total += sum(each.cpu_times()[:4])
    return total


def idle(cluster: psutil.Process) -> float:
    """Processor seconds that a cluster takes in a second in which it does nothing."""
    before = spent(cluster)
    time.sleep(IDLE_SECONDS)
    return (spent(cluster) - before) / IDLE_SECONDS


def alone(words: list[str], place: Path) -> float:
    """Processor seconds of a command and its children."""
    before = os.times()
    subprocess.run([*RUN, *words], cwd=place, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def spread(words: list[str], place: Path, cluster: psutil.Process, waiting: float, workers: int) -> tuple[float, float]:
    """Processor seconds of a command, and of a cluster that does its work, on a machine that does nothing else.

    Args:
        words: Of the command.
        place: Where it is run.
        cluster: The process at the root of the cluster.
        waiting: What it takes in a second of doing nothing.
        workers: How many processors the machine is meant to have.
    """
    before, begun = spent(cluster), time.monotonic()
    own = alone(words, place)
    work = spent(cluster) - before - waiting * (time.monotonic() - begun)
    whole = (own + work) / (1 - waiting / workers)
    return own, whole - own


def measure(given: argparse.Namespace, place: Path) -> bool:
    """Run both in turn, and print; whether it is as it should be."""
    zoo.write(place / "models", given.models)
    zoo.write(place / "one", 1)
    program = [sys.executable, str(HERE / "local_cluster.py"), "--workers", str(given.workers)]
    words, whole, models, right = [*given.command.split(), ".", "-q"], list[float](), list[float](), True
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        there = ["--scheduler", process.stdout.readline().strip()]
        cluster = psutil.Process(process.pid)
        alone([*words, *there], place / "models")  # workers start their processes
        waiting = idle(cluster)
        print(f"a cluster that waits takes {waiting:.3f} processor seconds a second")
        for number in range(given.rounds):
            kept = [place / f"{name}-{number}" for name in ("here", "there")]
            first = alone([*words, "--results", str(place / f"one-here-{number}")], place / "one")
            here = alone([*words, "--results", str(kept[0])], place / "models")
            begin = sum(
                spread(
                    [*words, *there, "--results", str(place / f"one-there-{number}")],
                    place / "one",
                    cluster,
                    waiting,
                    given.workers,
                )
            )
            own, others = spread(
                [*words, *there, "--results", str(kept[1])], place / "models", cluster, waiting, given.workers
            )
            right &= results(kept[0]) == results(kept[1]) and len(results(kept[0])) == given.models
            whole.append(here / (own + others))
            models.append((here - first) / (own + others - begin))
            print(
                f"one process {here:.2f} s, {first:.2f} of them for the first model; command {own:.2f} and cluster "
                f"{others:.2f} s, {begin:.2f} of them for the first model: {whole[-1]:.2f}, models {models[-1]:.2f}",
                flush=True,
            )
        process.stdin.close()
    share = statistics.median(models)
    print(
        f"{given.command}, {given.models} models: {statistics.median(whole):.2f} of the cores, of models alone "
        f"{share:.2f}; results {'equal' if right else 'DIFFER'}"
    )
    return right and share >= LEAST


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--command", default="check", help="and its options, in one word")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return int(not measure(given, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
