"""Measure every release of MNN and write `rules/evidence/`. Takes long: run it with `make evidence`.

Of each, the micro-models of the table's rows first (a minute; `--rows` for these alone), then the other corpora. One
environment per release, made with pip where it is missing. Interrupted, it goes on where it was left; a file that
was measured in another environment (another processor, another onnx) is measured again from the start.

With `--precision low` or `high` it is the emulated arm64 that runs what each release converts: set it up before, with
`mnncompat device setup arm64 --mnn RELEASE`.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

from mnncompat.probe.evidence import evidence_path
from mnncompat.probe.selection import CORPUS_NAMES

RELEASES = ("3.0.0", "3.1.0", "3.2.0", "3.4.0", "3.4.1", "3.5.0", "3.6.0", "3.6.1")
SEED = 1
"""Of the generated cases that are kept as evidence."""
ROWS = ("rows",)
OTHERS = tuple(name for name in CORPUS_NAMES if name not in ROWS)


def main() -> int:
    """Measure the releases that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("release", nargs="*", default=RELEASES, help="releases of MNN, e.g. 3.6.1")
    parser.add_argument("--environments", type=Path, default=Path(".mnn-environments"), help="where to make them")
    parser.add_argument("--rows", action="store_true", help="the micro-models of the table's rows alone")
    parser.add_argument("--again", action="store_true", help="measure again what was measured already")
    parser.add_argument("--precision", choices=("high", "low"), help="on emulated arm64, in this precision")
    parser.add_argument("--jobs", type=int, metavar="N", help="cases at a time; default: one per core")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="on the workers of this Dask scheduler")
    arguments = parser.parse_args()
    for release in arguments.release:
        if arguments.scheduler:
            place = ["--scheduler", arguments.scheduler, "--release", release]
        else:
            place = ["--python", str(environment(arguments.environments.resolve() / release, release))]
            place += ["--jobs", str(arguments.jobs)] if arguments.jobs else []
        for corpora in (ROWS,) if arguments.rows else (ROWS, OTHERS):
            status = measure(corpora, release, place, precision=arguments.precision or "", again=arguments.again)
            if status:
                return status
    return 0


def measure(corpora: tuple[str, ...], release: str, place: list[str], *, precision: str, again: bool) -> int:
    """Measure corpora on a release; the exit status."""
    machine = "aarch64" if precision else platform.machine()
    out = evidence_path(release, machine, precision=precision, rows=corpora == ROWS)
    sys.stderr.write(f"MNN {release}: {', '.join(corpora)} -> {out}\n")
    chosen = [word for name in corpora for word in ("--corpus", name)]
    there = ["--device", "arm64", "--precision", precision] if precision else []
    words = ["probe", *chosen, *there, "--seed", str(SEED), *place, "--out", str(out)]
    command = [sys.executable, "-m", "mnncompat", *words, *([] if again else ["--resume"])]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def environment(folder: Path, release: str) -> Path:
    """The interpreter of an environment with that release of MNN and numpy, and nothing else."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"MNN=={release}", "numpy"], check=True)
        (folder / "complete").touch()
    return python


if __name__ == "__main__":
    sys.exit(main())
