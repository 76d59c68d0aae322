"""Campaigns on a cluster: workers are killed at random moments, a model kills its worker, a disk is full.

    python tests/fleet/campaigns.py --campaigns 20 --models 200 --command check --kills 3 --seed 1

Each has to give what one process gives, byte for byte, but for the model that kills its worker, which has to be named:
nothing is lost, nothing is done twice. Prints a line for each; exit status 1 if one does not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import zoo

HERE = Path(__file__).resolve().parent
RUN = [sys.executable, "-m", "mnncompat"]
WORKERS = 3
_POISON = "poison.onnx"


def results(folder: Path) -> dict[str, bytes]:
    """Every file of results, by name."""
    return {each.name: each.read_bytes() for each in (folder / "results").glob("*/*.json")}


def killed_at_random(
    process: subprocess.Popen[str], workers: Path, there: Path, given: argparse.Namespace, draw: random.Random
) -> int:
    """Kill workers while a command runs, each when so many results are there; how many."""
    moments = sorted(draw.randrange(1, given.models) for _ in range(given.kills))
    done = 0
    while process.poll() is None:
        time.sleep(draw.uniform(0.01, given.pause))
        found = sorted(workers.iterdir())
        if done < len(moments) and found and len(results(there)) >= moments[done]:
            victim = draw.choice(found)
            victim.unlink()
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(victim.name), signal.SIGKILL)
                done += 1
    return done


def problems(there: Path, here: Path, said: str) -> list[str]:
    """What is not as it should be."""
    found, wanted = results(there), results(here)
    poisoned = [name for name, data in found.items() if json.loads(data)["outcome"] == "poisoned"]
    named = [json.loads(found[name])["task"]["model"]["path"] for name in poisoned]
    times = Counter(json.loads(line)["key"] for line in (there / "times.jsonl").read_text().splitlines())
    good = {name: data for name, data in found.items() if name not in poisoned}
    expected = {name: data for name, data in wanted.items() if _POISON not in json.loads(data)["task"]["model"]["path"]}
    checks = {
        f"{len(expected.keys() - good.keys())} lost": expected.keys() <= good.keys(),
        f"{sum(count > 1 for count in times.values())} done twice": set(times.values()) == {1},
        "results differ": good == expected,
        f"poisoned: {named}": [Path(each).name for each in named] == [_POISON],
        "the poisoned one is not named": f"{_POISON}: poisoned" in said,
    }
    return [words for words, right in checks.items() if not right]


def campaign(number: int, models: Path, here: Path, words: list[str], given: argparse.Namespace) -> list[str]:
    """Run one; what was wrong."""
    draw = random.Random(f"{given.seed}-{number}")
    there = here.parent / f"campaign-{number}"
    disk, begun_workers = here.parent / f"disk-{number}", here.parent / f"workers-{number}"
    disk.mkdir()
    begun_workers.mkdir()
    preload = ["--preload", str(HERE / "faulty_worker.py"), "--workers", str(WORKERS)]
    command = [sys.executable, str(HERE / "local_cluster.py"), *preload]
    environment = {**os.environ, "FULL_DISK": str(disk), "DELAY": str(given.delay)}
    environment |= {"WORKERS": str(begun_workers), "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as cluster:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        address = cluster.stdout.readline().strip()
        begun = time.monotonic()
        there_words = ["--results", str(there), "--scheduler", address]
        with subprocess.Popen(
            [*RUN, *words, *there_words], cwd=models, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            kills = killed_at_random(process, begun_workers, there, given, draw)
            assert process.stderr is not None
            said = process.stderr.read()
        cluster.stdin.close()
        found = problems(there, here, said)
        full = "no space" in said
        print(
            f"campaign {number}: {len(results(there))} results in {time.monotonic() - begun:.1f} s, {kills} workers "
            f"killed, a full disk {'refused' if full else 'not met'}: {'; '.join(found) or 'as one process'}",
            flush=True,
        )
        if found or given.told:
            print(said, flush=True)
    shutil.rmtree(there)
    return found


def main() -> int:
    """Run the campaigns that the command line asks for; 1 if one is not right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=20)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--command", default="check", help="and its options, in one word")
    parser.add_argument("--kills", type=int, default=3, help="workers that are killed in each")
    parser.add_argument("--pause", type=float, default=0.3, help="longest time until it is looked whether to kill")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds more that a model takes on a worker")
    parser.add_argument("--told", action="store_true", help="print what each campaign says")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        models = place / "models"
        zoo.write(models, given.models - 1)
        shutil.copy(next(models.glob("*.onnx")), models / _POISON)
        words = [*given.command.split(), "."]
        here = place / "one-process"
        subprocess.run([*RUN, *words, "--results", str(here)], cwd=models, check=False, capture_output=True)
        wrong = sum(bool(campaign(number, models, here, words, given)) for number in range(given.campaigns))
    print(f"{given.campaigns} campaigns of {given.models} models: {wrong} not right")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
