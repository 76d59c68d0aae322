"""Install the package in environments of their own and run it: the oldest versions of what it needs, other Pythons.

    python tests/packaging/smoke.py --lowest                      # every dependency at its lower bound
    python tests/packaging/smoke.py --python python3.12 --python python3.13

`make smoke` runs all of these. An interpreter that is missing is an error: name those that there are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build" / "smoke"
_MODEL = REPOSITORY / "examples" / "mnist" / "mnist-fc.onnx"


def lower_bounds(requirements: list[str]) -> Iterator[str]:
    """Constraints of pip that choose the oldest release that each requirement admits."""
    for each in map(Requirement, requirements):
        bounds = [part.version for part in each.specifier if part.operator in (">=", "==")]
        if len(bounds) != 1:
            raise ValueError(f"{each} has no lower bound")
        yield f"{each.name}=={bounds[0]}"


def environment(name: str, interpreter: str, constraints: list[str]) -> Path:
    """The folder of programs of a new environment with the package in it."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([interpreter, "-m", "venv", folder], check=True)
    (folder / "constraints.txt").write_text("\n".join(constraints) + "\n")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", str(folder / "constraints.txt"), str(REPOSITORY)], check=True)
    return folder / "bin"


def try_out(programs: Path, folder: Path) -> None:
    """Run the commands as a user does, away from the checkout.

    Raises:
        subprocess.CalledProcessError: One of them ends otherwise than it should.
    """
    model = folder / "model.onnx"
    shutil.copy(_MODEL, model)
    for words, status in (
        (["--version"], 0),
        (["check", "model.onnx"], 0),
        (["check", "model.onnx", "--mnn", "0.2.0.4"], 1),
        (["fix", "model.onnx", "-o", "fixed.onnx"], 0),
        (["convert", "model.onnx", "-o", "model.mnn"], 0),
        (["verify", "model.onnx", "model.mnn"], 0),
        (["check", "model.onnx", "--output-format", "sarif"], 0),
        (["rule", "MNN801"], 0),
        (["ci", "model.onnx", "--update"], 0),
        (["--help"], 0),
    ):
        done = subprocess.run([programs / "mnncompat", *words], cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode != status:
            sys.stderr.write(done.stdout + done.stderr)
            raise subprocess.CalledProcessError(done.returncode, ["mnncompat", *words])
    subprocess.run(
        [programs / "python", "-c", "import mnncompat; assert mnncompat.check('model.onnx').nodes == 18"],
        cwd=folder,
        check=True,
    )


def main() -> int:
    """Try the environments that the command line names; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lowest", action="store_true", help="lower bounds of all dependencies, on this Python")
    parser.add_argument("--python", action="append", default=[], help="newest dependencies, on this interpreter")
    arguments = parser.parse_args()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted: list[tuple[str, str, list[str]]] = [(f"newest-{Path(each).name}", each, []) for each in arguments.python]
    if arguments.lowest:
        wanted.insert(0, ("lowest", sys.executable, list(lower_bounds(project["dependencies"]))))
    failed = []
    for name, interpreter, constraints in wanted:
        try:
            programs = environment(name, interpreter, constraints)
            place = programs.parent / "place"
            place.mkdir()
            try_out(programs, place)
        except (subprocess.CalledProcessError, OSError) as error:
            failed.append(name)
            sys.stderr.write(f"{name}: {error}\n")
        else:
            sys.stdout.write(f"{name}: good\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
