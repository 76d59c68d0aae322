"""Run the commands that the documentation shows, and compare or rewrite what it says they print.

A fenced ``console`` block holds commands (lines that start with ``$ ``), each followed by what it prints on stdout. A
line ``...`` stands for any lines. ``[exit 1]`` as the last line states an exit status other than 0. Numbers may differ
between machines and are not compared. `make docs` rewrites the blocks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = tuple(
    path.relative_to(REPOSITORY).as_posix()
    for path in (
        REPOSITORY / "README.md",
        *sorted((REPOSITORY / "docs").glob("*.md")),
        REPOSITORY / "examples" / "mnist" / "README.md",
    )
    if "```console" in path.read_text(encoding="utf-8")
)
"""The documents that show commands, relative to the repository."""
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Which draw is the worst depends on the processor's rounding.
_DRAW = re.compile(r"\b(?:normal|uniform|negative|zeros|large)(?:, batch \d+)?\b")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command and what the document says that it prints."""

    command: str
    shown: tuple[str, ...]


def blocks(text: str) -> Iterator[tuple[Step, ...]]:
    """The console blocks of a document."""
    for match in _BLOCK.finditer(text):
        yield tuple(_steps(match[1]))


def _steps(block: str) -> Iterator[Step]:
    command = ""
    shown: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield Step(command=command, shown=tuple(shown))
            command, shown = line[2:], []
        else:
            shown.append(line)
    if command:
        yield Step(command=command, shown=tuple(shown))


def workplace(folder: Path) -> Path:
    """A copy of what the commands work on."""
    shutil.copytree(REPOSITORY / "examples", folder / "examples", ignore=shutil.ignore_patterns("build", "__pycache__"))
    return folder


def execute(command: str, folder: Path) -> tuple[str, ...]:
    """Run a command as a reader would; what it prints, with the exit status if that is not 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    if done.returncode:
        lines.append(f"[exit {done.returncode}]")
    if done.returncode > 1:
        lines.extend(done.stderr.splitlines())
    return tuple(lines)


def agrees(shown: tuple[str, ...], printed: tuple[str, ...]) -> bool:
    """Whether the document shows what was printed, numbers apart."""
    if not shown:
        return not any(line.startswith("[exit") for line in printed)
    pattern = "\n".join(".*" if line.strip() == "..." else re.escape(_plain(line)) for line in shown)
    pattern = pattern.replace(".*\n", "(?:.*\n)?").replace("\n.*", "(?:\n.*)?")
    return re.fullmatch(pattern, "\n".join(_plain(line) for line in printed), re.DOTALL) is not None


def _plain(line: str) -> str:
    if line.startswith("[exit"):
        return line
    return " ".join(_NUMBER.sub("#", _DRAW.sub("draw", line)).split())


def rewrite(document: Path, folder: Path) -> None:
    """Replace what the document says by what its commands print; blocks that show nothing stay so."""

    def run(match: re.Match[str]) -> str:
        lines: list[str] = []
        for step in _steps(match[1]):
            printed = execute(step.command, folder)
            lines += [f"$ {step.command}", *(_shortened(step.shown, printed))]
        return "```console\n" + "\n".join(lines) + "\n```"

    document.write_text(_BLOCK.sub(run, document.read_text()))


def _shortened(shown: tuple[str, ...], printed: tuple[str, ...]) -> tuple[str, ...]:
    if not shown:
        return ()
    return shown if "..." in shown and agrees(shown, printed) else printed


def main() -> int:
    """Rewrite the documents."""
    for name in DOCUMENTS:
        with tempfile.TemporaryDirectory() as folder:
            rewrite(REPOSITORY / name, workplace(Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
