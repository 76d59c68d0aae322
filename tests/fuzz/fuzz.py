"""Mutated models through the commands: no internal error, no hang, no process beyond 2 GB, nothing left behind.

    python tests/fuzz/fuzz.py --seed 1 --check 1000 --fix 200 --convert 30 --seconds 540

Every mutant is a function of the seed and its number: `--only 417` repeats one of them, `--keep FOLDER` stores those
that fail. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import environ, killpg, sysconf
from pathlib import Path
from random import Random
from typing import IO, Any, cast

from fuzz_corpus import corpus, examples
from fuzz_mutants import mutant

FORMATS = ("text", "concise", "json", "sarif", "github", "junit", "gitlab", "markdown")
SECONDS, BYTES = 20.0, 2_000_000_000
_BUSY = 6.0
"""How many times that a command may take that hardly got a processor."""
_PAGE = sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Findings:
    """What went wrong, by kind and place, with the mutants that show it."""

    runs: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    slowest: float = 0.0
    largest: int = 0

    def text(self) -> str:
        """A summary, and each kind of failure with the first mutants that show it."""
        ran = ", ".join(f"{number} {name}" for name, number in self.runs.items())
        ends = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items()))
        lines = [
            f"ran {ran}; exit status {ends}; slowest {self.slowest:.1f} s; largest process {self.largest / 1e6:.0f} MB",
            f"{sum(map(len, self.errors.values()))} failures of {len(self.errors)} kinds",
        ]
        listed = sorted(self.errors.items(), key=lambda item: -len(item[1]))
        return "\n".join([*lines, *(f"{len(who):5} {place}  {who[:4]}" for place, who in listed)])


class Worker:
    """A process that runs commands, started again when it was killed or died."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        self.largest = 0

    def run(self, words: Sequence[str]) -> dict[str, Any]:
        """How a command ended: the worker's answer, or a place that says why there is none."""
        process = self._started()
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        begin, begun = time.monotonic(), _processor_seconds(_family(process.pid))
        stdin.write((json.dumps(words) + "\n").encode())
        stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not selector.select(timeout=0.05):
                family = _family(process.pid)
                used = max(map(_resident, family))
                self.largest = max(self.largest, used)
                seconds = time.monotonic() - begin
                if _hangs(seconds, begun, family) or used > BYTES:
                    self.close()
                    return {"status": -1, "seconds": seconds, "place": "hang" if used < BYTES else "memory"}
            line = stdout.readline()
        if line:
            return dict(json.loads(line))
        status = process.wait()
        self.close()
        return {"status": -1, "seconds": time.monotonic() - begin, "place": f"died with status {status}"}

    def close(self) -> None:
        """Kill the worker's process group."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, str(Path(__file__).with_name("fuzz_worker.py"))]
            folder = {**environ, "TMPDIR": str(self._scratch), "HOME": str(self._scratch), "ORT_DISABLE_TELEMETRY": "1"}
            folder["XDG_CACHE_HOME"] = str(self._scratch.with_name("cache"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=folder,
                cwd=self._scratch.parent,
                start_new_session=True,
            )
        return self._process


def _family(pid: int) -> list[int]:
    """A process, its children, and theirs."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    return found


def _hangs(seconds: float, begun: float, family: list[int]) -> bool:
    """Whether a command takes too long, and not because others have the processors."""
    worked = seconds > SECONDS and _processor_seconds(family) - begun > SECONDS / 2
    return worked or seconds > _BUSY * SECONDS


def _processor_seconds(family: list[int]) -> float:
    """Processor time of processes and of their children that have ended."""
    total = 0
    for each in family:
        with contextlib.suppress(OSError):
            total += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total / sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def commands(counts: dict[str, int], seed: int, only: int | None) -> Iterator[tuple[str, int, list[str]]]:
    """Command, number of the mutant, and the options; the same number is another mutant for each command."""
    jobs = [(name, number) for name, count in counts.items() for number in range(count)]
    Random(seed).shuffle(jobs)
    for place, (name, number) in enumerate(jobs if only is None else [(each, only) for each in counts]):
        random = Random(f"{seed}:{name}:{number}")
        words = ["--output-format", FORMATS[place % len(FORMATS)]]
        if name == "fix":
            words += random.choice(([], [], [], ["--no-verify"], ["--unsafe-fixes"], ["--diff"]))
        if name == "check":
            words += random.choice(([], [], [], ["--mnn", "2.0.0"]))
        yield name, number, words


def run(
    counts: dict[str, int], seed: int, seconds: float, *, quick: bool, keep: Path | None, only: int | None
) -> Findings:
    """Run mutants until all are done or the time is over."""
    models = examples() if quick else corpus()
    found, end = Findings(), time.monotonic() + seconds
    offsets = {name: place * 10_000_000 for place, name in enumerate(("check", "fix", "convert"))}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        scratch, place = Path(folder) / "tmp", Path(folder) / "models"
        scratch.mkdir()
        worker = Worker(scratch)
        try:
            for name, number, words in commands(counts, seed, only):
                if time.monotonic() > end:
                    break
                data = mutant(models, seed, offsets[name] + number)
                answer = _one(worker, name, words, data, place)
                _note(found, answer, name, number, seed)
                if answer["place"] and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{number}.onnx").write_bytes(data)
        finally:
            worker.close()
        found.largest = worker.largest
    return found


def _note(found: Findings, answer: dict[str, Any], name: str, number: int, seed: int) -> None:
    found.runs[name] += 1
    found.statuses[answer["status"]] += 1
    found.slowest = max(found.slowest, answer["seconds"])
    if answer["place"]:
        found.errors[f"{name}: {answer['place']}"].append(
            f"{name}-{seed}-{number}: {answer.get('said', '')[:90]}"
            if len(found.errors[f"{name}: {answer['place']}"]) < 1
            else f"{name}-{seed}-{number}"
        )


def _one(worker: Worker, name: str, words: list[str], data: bytes, place: Path) -> dict[str, Any]:
    """Run one command on one mutant in a fresh folder, and see what it leaves behind."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    model = place / "model.onnx"
    model.write_bytes(data)
    (place / "loop").symlink_to("loop")
    out = [] if name == "check" else ["-o", str(place / "out")]
    answer = worker.run([name, str(model), *out, *words, *(["--quiet"] if name == "convert" else [])])
    if not answer["place"]:
        answer["place"] = _left_behind(place, data)
    return answer


def _left_behind(place: Path, data: bytes) -> str:
    scratch = place.parent / "tmp"
    strange = [each.name for each in scratch.rglob("*") if each.is_file() or each.name.startswith("mnncompat-")]
    allowed = {"model.onnx", "loop", "out", "out.data", "out.weight"}
    strange += [each.name for each in place.iterdir() if each.name not in allowed]
    if (place / "model.onnx").read_bytes() != data:
        return "the input was changed"
    return f"left behind: {', '.join(sorted(strange)[:3])}" if strange else ""


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    for name, count in (("check", 1000), ("fix", 200), ("convert", 30)):
        parser.add_argument(f"--{name}", type=int, default=count, help=f"mutants for `{name}`")
    parser.add_argument("--seconds", type=float, default=540.0, help="stop after so long")
    parser.add_argument("--quick", action="store_true", help="mutate the examples of the rewrites only")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that fail")
    parser.add_argument("--only", type=int, help="repeat the mutant of this number")
    given = parser.parse_args()
    counts = {name: getattr(given, name) for name in ("check", "fix", "convert") if getattr(given, name)}
    print(f"seed {given.seed}", flush=True)
    found = run(counts, given.seed, given.seconds, quick=given.quick, keep=given.keep, only=given.only)
    print(found.text())
    return int(bool(found.errors))


if __name__ == "__main__":
    sys.exit(main())
