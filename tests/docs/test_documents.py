"""What the documentation shows is what the commands print."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import DOCUMENTS, Step, agrees, blocks, execute, workplace


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_print_what_the_document_shows(name: str, repository: Path, tmp_path: Path) -> None:
    folder = workplace(tmp_path)
    steps: list[Step] = [step for block in blocks((repository / name).read_text()) for step in block]
    assert steps, f"{name} shows no command"
    for step in steps:
        printed = execute(step.command, folder)
        assert agrees(step.shown, printed), f"$ {step.command}\n" + "\n".join(printed)


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        (("a 1", "b"), ("a 22.5", "b"), True),
        (("a 1",), ("a one",), False),
        (("a",), ("a", "b"), False),
        (("a", "...", "z"), ("a", "b", "c", "z"), True),
        (("a", "..."), ("a", "b", "c"), True),
        (("a", "...", "z"), ("a", "b", "c"), False),
        (("a", "[exit 1]"), ("a", "[exit 2]"), False),
        ((), ("anything",), True),
        ((), ("anything", "[exit 1]"), False),
    ],
)
def test_comparison(shown: tuple[str, ...], printed: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001
    assert agrees(shown, printed) is expected
