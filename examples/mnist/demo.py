"""The main job on the tutorial's model: find, rewrite, convert, verify, and compare with what its author did by hand.

Run it with `make demo`. It needs neither torch nor scikit-learn: the trained models are in this folder.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from mnncompat.mnn import ConvertOptions, Limits, convert, count_ops
from mnncompat.results.failures import Failure

FOLDER = Path(__file__).parent
BUILD = FOLDER / "build"


def main() -> int:
    """Run the steps; the exit status is that of the conversion."""
    BUILD.mkdir(exist_ok=True)
    model, by_hand = relative(FOLDER / "mnist-fc.onnx"), relative(FOLDER / "mnist-conv.onnx")
    fixed, file, file_by_hand = (relative(BUILD / name) for name in ("fixed.onnx", "mnist.mnn", "mnist-by-hand.mnn"))
    print("# The finding for MNN of 2019:")
    run("check", model, "--mnn", "0.2.0.4")
    print("# The MNN of today converts the head, but inefficiently:")
    run("check", model)
    print("# The rewrite:")
    run("fix", model, "-o", fixed, "--diff")
    print("# And the check of 2019 again:")
    clean = run("check", fixed, "--mnn", "0.2.0.4")
    print("# `convert` does all steps, and writes the file only if MNN computes the same:")
    status = run("convert", model, "-o", file)
    print("# The convolution head that the author wrote by hand, converted in the same way:")
    status = run("convert", by_hand, "-o", file_by_hand) or status
    return compare_ops(Path(model), Path(file), Path(file_by_hand)) or status or clean


def run(*words: str) -> int:
    """Run one mnncompat command as a user would, and show it."""
    print(f"$ {shlex.join(['mnncompat', *words])}", flush=True)
    status = subprocess.run([sys.executable, "-m", "mnncompat", *words], check=False).returncode
    print(flush=True)
    return status


def compare_ops(model: Path, file: Path, by_hand: Path) -> int:
    """Print how many MNN ops each way takes; 1 if the automatic one takes more than the one by hand."""
    untouched = BUILD / "mnist-untouched.mnn"
    converted = convert(model, untouched, options=ConvertOptions(), limits=Limits())
    counts = {
        "as it was exported": None if isinstance(converted, Failure) else total(untouched),
        "after the automatic rewrite": total(file),
        "written by hand": total(by_hand),
    }
    print("# Ops of the converted files (counted in the files):")
    for name, count in counts.items():
        print(f"{name:<30} {'not converted' if count is None else count}")
    automatic, manual = counts["after the automatic rewrite"], counts["written by hand"]
    return 0 if automatic is not None and manual is not None and automatic <= manual else 1


def total(file: Path) -> int | None:
    """Number of ops of an `.mnn` file, None if there is none."""
    return sum(count_ops(file).values()) if file.exists() else None


def relative(path: Path) -> str:
    """The path as one would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
