"""The main job on the tutorial's model: find, rewrite, convert, verify, and compare with what its author did by hand.

Run it with `make demo`. It needs neither torch nor scikit-learn: the trained models are in this folder.
"""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from mnncompat.mnn import ConvertOptions, Limits, convert, count_ops
from mnncompat.mnn.timing import time_runs
from mnncompat.results.failures import Failure

FOLDER = Path(__file__).parent
BUILD = FOLDER / "build"
ROUNDS = 40


def main() -> int:
    """Run the steps; the exit status is that of the conversions."""
    BUILD.mkdir(exist_ok=True)
    model, by_hand = relative(FOLDER / "mnist-fc.onnx"), relative(FOLDER / "mnist-conv.onnx")
    names = ("of-2019.onnx", "of-2019.mnn", "of-today.mnn", "by-hand.mnn")
    fixed, file_of_2019, file_of_today, file_by_hand = (relative(BUILD / name) for name in names)
    print("# The finding for MNN of 2019:")
    run("check", model, "--mnn", "0.2.0.4")
    print("# The rewrite for it: a 4x4 and a 1x1 convolution, as the author wrote them by hand:")
    run("fix", model, "-o", fixed, "--mnn", "0.2.0.4", "--diff")
    print("# And the check of 2019 again:")
    clean = run("check", fixed, "--mnn", "0.2.0.4")
    print("# MNN of today runs the head as it is, but 1x1 convolutions run faster:")
    run("check", model)
    print("# `convert` does all steps, and writes the file only if MNN computes the same:")
    status = run("convert", model, "-o", file_of_today, "--time")
    print("# The form of 2019, and the one that the author wrote by hand, converted by MNN of today:")
    status = run("convert", model, "-o", file_of_2019, "--head", "spatial", "--no-power") or status
    status = run("convert", by_hand, "-o", file_by_hand, "--no-power") or status
    return compare(Path(model), Path(file_of_2019), Path(file_by_hand), Path(file_of_today)) or status or clean


def run(*words: str) -> int:
    """Run one mnncompat command as a user would, and show it."""
    print(f"$ {shlex.join(['mnncompat', *words])}", flush=True)
    status = subprocess.run([sys.executable, "-m", "mnncompat", *words], check=False).returncode
    print(flush=True)
    return status


def compare(model: Path, of_2019: Path, by_hand: Path, of_today: Path) -> int:
    """Print how many MNN ops each file has, and its latency; 1 if the rewrite takes more ops than the work by hand."""
    untouched = BUILD / "untouched.mnn"
    convert(model, untouched, options=ConvertOptions(), limits=Limits())
    files = {
        "as it was exported": untouched,
        "rewritten for 2019 (4x4, 1x1)": of_2019,
        "written by hand (4x4, 1x1)": by_hand,
        "rewritten for today (1x1, 1x1)": of_today,
    }
    missing = [name for name, file in files.items() if not file.exists()]
    if missing:
        print(f"not converted: {', '.join(missing)}")
        return 1
    image = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    found = time_runs(
        list(files.values()), {"image": image}, output_names=["logits"], rounds=ROUNDS, threads=1, limits=Limits()
    )
    seconds = None if isinstance(found, Failure) else [statistics.median(column) for column in zip(*found, strict=True)]
    print(f"# Ops of the files, and median latency of {ROUNDS} runs in turn, one image, one thread of this machine:")
    for number, (name, file) in enumerate(files.items()):
        latency = "not run" if seconds is None else f"{seconds[number] * 1e3:.3f} ms"
        print(f"{name:<32} {sum(count_ops(file).values()):>3} ops   {latency}")
    return int(sum(count_ops(of_2019).values()) > sum(count_ops(by_hand).values()))


def relative(path: Path) -> str:
    """The path as one would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
