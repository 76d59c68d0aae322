"""Functions of the user that yield feeds: what they may return, and how their errors are told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mnncompat.errors import UsageError
from mnncompat.parity.feed_functions import MOST, call_feeds

CODE = """
import numpy as np
from beside import SIZE

def yields():
    print("said")
    for size in range(1, 3):
        yield {"x": np.ones(size), "i": [size]}

def returns():
    return [{"x": np.zeros(SIZE)}]

ONE = {"x": [1.0, 2.0]}

def raises():
    yield {"x": [1]}
    raise ValueError("the file is empty\\nand more")

def leaves():
    raise SystemExit(3)

def needs(argument):
    return argument

def numbers():
    return [1, 2]

def nothing():
    return iter(())

def uneven():
    return {"x": [[1], [1, 2]]}

def endless():
    while True:
        yield {"x": [1]}

def none():
    return None
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("SIZE = 5\n")
    (tmp_path / "feeds_of_a_test.py").write_text(CODE)
    return tmp_path / "feeds_of_a_test.py"


def test_what_is_yielded_are_feeds(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = list(sys.path)
    first, second = call_feeds(f"{file}:yields")
    np.testing.assert_array_equal(second["x"], np.ones(2))
    np.testing.assert_array_equal(first["i"], [1])
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "said\n")
    assert sys.path == path


def test_what_is_returned_are_feeds(file: Path) -> None:
    (feeds,) = call_feeds(f"{file}:returns")
    assert feeds["x"].shape == (5,)
    (feeds,) = call_feeds(f"{file}:ONE")
    assert feeds["x"].shape == (2,)


def test_modules_are_imported_by_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert len(call_feeds("feeds_of_a_test:yields")) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", r"failed in .*feeds_of_a_test.py, line 17: ValueError: the file is empty$"),
        ("leaves", r"failed in .*feeds_of_a_test.py, line 20: SystemExit: 3"),
        ("needs", "TypeError: needs"),
        ("numbers", "feeds 1 are int"),
        ("nothing", "yields no feeds"),
        ("uneven", "no array for 'x'"),
        ("endless", f"yields more than {MOST} feeds"),
        ("none", "TypeError"),
        ("missing", "has no missing"),
    ],
)
def test_errors_are_told_with_their_place(file: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        call_feeds(f"{file}:{name}")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("feeds.py", "not MODULE:FUNCTION"),
        ("none.py:draws", "no such file"),
        ("no_such_module_here:draws", "ModuleNotFoundError"),
    ],
)
def test_places_that_do_not_exist_are_refused(target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call_feeds(target)


def test_a_syntax_error_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def draws(:\n")
    with pytest.raises(UsageError, match="SyntaxError"):
        call_feeds(f"{tmp_path / 'broken.py'}:draws")
