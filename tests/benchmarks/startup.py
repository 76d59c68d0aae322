"""How long `mnncompat check` takes, against a Python process that imports onnx and loads the same model.

Both run in turn, many times; medians are compared. Run it with `make bench`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "examples" / "mnist" / "mnist-fc.onnx"
PEER = [sys.executable, "-c", "import sys, onnx; onnx.load(sys.argv[1])", str(MODEL)]
OURS = [str(Path(sys.executable).with_name("mnncompat")), "check", str(MODEL)]
HELP = [str(Path(sys.executable).with_name("mnncompat")), "--version"]
ROUNDS = 21
LIMIT = 1.1


def main() -> int:
    """Measure and print; the exit status is 1 if the ratio is above the limit."""
    commands = {"python: import onnx, load": PEER, "mnncompat check": OURS, "mnncompat --version": HELP}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():  # bytecode and disk caches
        elapsed(command)
    for _ in range(ROUNDS):
        for name, command in commands.items():
            seconds[name].append(elapsed(command))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    peer = medians["python: import onnx, load"]
    for name, median in medians.items():
        print(f"{name:<28} median {median * 1000:6.1f} ms   ratio {median / peer:.2f}")
    return int(medians["mnncompat check"] / peer > LIMIT)


def elapsed(command: list[str]) -> float:
    """Wall time of a command in seconds."""
    begin = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
