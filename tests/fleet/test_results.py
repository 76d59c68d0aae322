"""Results in a folder: exact, complete or absent, harmless to read, and summed up."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import handmade
import jsonschema
import numpy as np
import pytest

from mnncompat.cli import main
from mnncompat.errors import MnncompatError, ModelError, OutputError, PoisonedModelError, UsageError
from mnncompat.fleet.codec import decoded, encoded
from mnncompat.fleet.measured_times import put_back, taken_out
from mnncompat.fleet.outcomes import Answer
from mnncompat.fleet.result_file import read, times_of
from mnncompat.fleet.results_folder import ResultsFolder, entries
from mnncompat.fleet.summary import summarised
from mnncompat.fleet.tasks import Task
from mnncompat.probe.case import is_representable

SCHEMA = json.loads(files("mnncompat.fleet").joinpath("result.schema.json").read_text())
TASK = Task(command="convert", path="a/b.onnx", digest="0" * 64, size=7, options={"seed": 1}, release="3.6.1", tool="t")


def handmade_results() -> Iterator[Any]:
    for name, value in vars(handmade).items():
        if is_dataclass(value) and not isinstance(value, type) and name.isupper():
            yield pytest.param(value, id=name)


@pytest.mark.parametrize("value", list(handmade_results()))
def test_results_come_back_as_they_were(value: object) -> None:
    text = json.dumps(encoded(value), allow_nan=False)
    again = decoded(json.loads(text))
    assert type(again) is type(value)
    assert repr(again) == repr(value)  # NaN is not equal to itself
    assert json.dumps(encoded(again)) == text


@pytest.mark.parametrize("value", list(handmade_results()))
def test_times_lie_apart(value: object) -> None:
    document = encoded(value)
    times = taken_out(document)
    assert not any(f'"{name}"' in json.dumps(document) for name in ("speed", "latency", "seconds", "remembered"))
    assert taken_out(json.loads(json.dumps(document))) == {}
    put_back(document, times)
    assert repr(decoded(document)) == repr(value)


@pytest.mark.parametrize(
    "hostile",
    [
        {"$": "os.system", "command": "true"},
        {"$": "outcomes.dataclass"},
        {"$": "outcomes.Unfinished", "source": "a", "diagnostics": [], "more": 1},
        {"$": "../cli.Ended", "status": 0},
        {"$enum": ["outcomes.Unfinished", 1]},
        {"$strange": 1},
        {"$map": [1]},
        {"$": ["outcomes"]},
    ],
)
def test_nothing_else_is_made(hostile: Any) -> None:
    with pytest.raises(UsageError):
        decoded(hostile)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ModelError("bad", hint="mend it"), "error"),
        (PoisonedModelError("lost twice", hint="report it"), "poisoned"),
        (OutputError("disk full", hint="make space"), None),
        (RuntimeError("a bug"), None),
    ],
)
def test_what_says_nothing_about_the_model_is_not_kept(error: Exception, kept: str | None, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path / "results")
    assert folder.keep(TASK, Answer(error=error)) is (kept is not None)
    found = entries(tmp_path / "results")[0]
    assert [each.outcome for each in found] == ([] if kept is None else [kept])
    if kept is not None:
        again = folder.find(TASK)
        assert again is not None
        assert isinstance(error, MnncompatError)
        assert (type(again.error), str(again.error)) == (type(error), error.message)


@pytest.mark.parametrize(
    ("command", "result"),
    [("convert", handmade.CONVERTED), ("convert", handmade.NOT_EQUAL), ("fix", handmade.FIXED)],
)
def test_files_follow_the_schema(command: str, result: object, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path / "kept")
    folder.keep(TASK._replace(command=command), Answer(result=result, seconds=98765.5, worker="w"))
    folder.keep(TASK._replace(path="c"), Answer(error=ModelError("bad", hint="mend it")))
    for file in (tmp_path / "kept" / "results").rglob("*.json"):
        jsonschema.validate(json.loads(file.read_text()), SCHEMA)
        assert file.stem == json.loads(file.read_text())["key"]
        assert "98765" not in file.read_text()
    assert {each.seconds for each in entries(tmp_path / "kept")[0]} == {98765.5, 0.0}


def test_a_key_says_all_that_matters() -> None:
    changes: list[dict[str, Any]] = [
        *({"command": "fix"}, {"digest": "1" * 64}, {"options": {"seed": 2}}, {"release": "3.0.0"}),
        *({"device": "arm64"}, {"precision": "low"}, {"tool": "u"}, {"path": "b.onnx"}),
    ]
    others = [TASK._replace(**each) for each in changes]
    assert len({each.key for each in [TASK, *others]}) == len(others) + 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": 1}', '{"schema_version": "1.0", "key": "k", "task": {}}'])
def test_a_damaged_file_is_named_and_done_again(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.CONVERTED))
    (file,) = (tmp_path / "results").rglob("*.json")
    file.write_text(text)
    assert folder.find(TASK) is None
    assert main(["fleet", "report", str(tmp_path)]) == 2
    assert str(file) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value"),
    [("verdict", "converted"), ("failure", [1]), ("source", None), ("failure", "all"), ("ops", {"Relu": "x"})],
)
def test_a_field_of_another_type_is_damage(
    field: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are reported all the same."""
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.CONVERTED))
    (file,) = (tmp_path / "results").rglob("*.json")
    document = json.loads(file.read_text())
    document["result"][field] = value
    file.write_text(json.dumps(document))
    folder.keep(TASK._replace(path="other.onnx"), Answer(result=handmade.CONVERTED))
    assert folder.find(TASK) is None
    assert main(["fleet", "report", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"{file} is damaged" in said.err
    assert f"ConvertResult.{field} is no " in said.err
    assert "other.onnx" in said.out


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"key": 3}\n7\n{"key": "a", "seconds": "x"}\n{"key": "b", "seconds": 1e999}']
)
def test_damaged_times_are_left_out(text: str, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.CONVERTED, seconds=2.0))
    times = tmp_path / "times.jsonl"
    times.write_text(text)
    assert [each.seconds for each in entries(tmp_path)[0]] == [None]
    times.write_text(json.dumps({"key": TASK.key, "seconds": 1.0, "measured": {"0": {"latency": "fast"}}}))
    assert [each.seconds for each in entries(tmp_path)[0]] == [1.0]


def test_a_pipe_in_place_of_results_is_not_waited_for(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.CONVERTED))
    (file,) = (tmp_path / "results").rglob("*.json")
    for each in (file, tmp_path / "times.jsonl"):
        each.unlink()
        os.mkfifo(each)
    found, damaged = entries(tmp_path)
    assert not found
    assert [str(each) for each in damaged] == [f"{file} is no file"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of results."""
    folder = tmp_path_factory.mktemp("good")
    ResultsFolder(folder).keep(TASK, Answer(result=handmade.CONVERTED))
    (file,) = (folder / "results").rglob("*.json")
    return file


_MISSING = object()
_ERROR = {"kind": "ModelError", "message": "m", "hint": "h"}


_BAD: dict[tuple[str, ...], tuple[object, ...]] = {
    ("schema_version",): (_MISSING, "2.0", "0.9", "", 1, None),
    ("key",): (_MISSING, "0" * 64, [1], None),
    ("outcome",): (_MISSING, "great", "error", "poisoned", None, []),
    ("error",): (_ERROR, None),
    ("result",): (_MISSING, None, "x", 5, [1, 2], {}, {"$": "outcomes.FixResult"}, {"$": 1}),
    ("result", "source"): (5, [5], {"a": []}),
    ("result", "diagnostics"): (5, [5], {"a": []}),
    ("result", "verdict"): (5, "converted", {"a": []}),
    ("result", "ops"): (5, [5], {"a": "b"}),
    ("task",): (_MISSING, "x", None, [], {}),
    ("task", "command"): (1, "chekc", None),
    ("task", "options"): (1, []),
    ("task", "release"): (3.6, None),
    ("task", "model", "path"): (1, None, _MISSING),
    ("task", "model", "sha256"): ("x", 1, _MISSING),
    ("task", "model", "bytes"): ("x", 1.5, None, True, float("nan"), float("inf")),
}


@pytest.mark.parametrize(("place", "value"), [(place, each) for place, values in _BAD.items() for each in values])
def test_nothing_in_a_file_is_believed(place: tuple[str, ...], value: object, good: Path, tmp_path: Path) -> None:
    document = json.loads(good.read_text())
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    if value is _MISSING:
        del inner[place[-1]]
    assert read(good, {}) is not None
    file = tmp_path / good.name
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        read(file, {})
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"key": ' + b"9" * 10_000 + b"}",
        b"{} {}",
        b"\x00" * 9,
    ],
)
def test_what_is_no_json_is_told(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"{'0' * 64}.json"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="is damaged"):
        read(file, {})


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "loop", "device"])
def test_what_is_no_file_is_told(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "results" / "00" / f"{'0' * 64}.json"
    file.parent.mkdir(parents=True)
    make: dict[str, Callable[[], None]] = {
        "folder": file.mkdir,
        "pipe": lambda: os.mkfifo(file),
        "link": lambda: file.symlink_to("nowhere"),
        "loop": lambda: file.symlink_to(file.name),
        "device": lambda: file.symlink_to("/dev/zero"),
    }
    make[kind]()
    found, damaged = entries(tmp_path)
    assert (found, len(damaged)) == ([], 1)


@pytest.mark.parametrize("name", ["package.json", f"{'0' * 63}.json"])
def test_a_foreign_file_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "results" / "00").mkdir(parents=True)
    (tmp_path / "results" / "00" / name).write_text("{}")
    found, (error,) = entries(tmp_path)
    assert not found
    assert error.message == f"{tmp_path / 'results' / '00' / name} is no result of mnncompat"


@pytest.mark.parametrize(
    "line",
    [
        *("\xff{]", "[1]", "[" * 100_000, '{"key": 1, "seconds": "x"}', '{"key": "KEY", "seconds": NaN}', "null"),
        *('{"key": "KEY", "seconds": 1e999}', '{"key": "KEY", "seconds": 1, "measured": {"0": 5}}'),
    ],
)
def test_times_that_are_none_are_left_out(line: str, good: Path, tmp_path: Path) -> None:
    file = tmp_path / "times.jsonl"
    file.write_text(line.replace("KEY", good.stem) + f'\n{{"key": "{good.stem}x", "seconds": 3}}\n')
    assert times_of(file) == {f"{good.stem}x": {"seconds": 3.0, "measured": {}}}


def test_times_of_the_wrong_kind_are_not_put_into_a_result(good: Path) -> None:
    found = read(good, {good.stem: {"seconds": 1.0, "measured": {"0": {"latency": "x"}}}})
    assert found is not None
    assert found.seconds == 1.0


def test_times_with_a_line_that_was_cut_short(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.CONVERTED, seconds=2.0))
    with (tmp_path / "times.jsonl").open("a") as file:
        file.write('{"key": "ab", "sec')
    assert [each.seconds for each in entries(tmp_path)[0]] == [2.0]


def test_a_summary_and_what_has_changed(tmp_path: Path) -> None:
    before, now = ResultsFolder(tmp_path / "before"), ResultsFolder(tmp_path / "now")
    for name, was, becomes in (
        ("a.onnx", handmade.CONVERTED, handmade.NOT_EQUAL),
        ("b.onnx", handmade.NOT_CONVERTED, handmade.CONVERTED),
        ("c.onnx", handmade.CONVERTED, handmade.CONVERTED),
    ):
        before.keep(TASK._replace(path=name), Answer(result=was))
        now.keep(TASK._replace(path=name, release="3.7.0"), Answer(result=becomes))
    now.keep(TASK._replace(path="d.onnx", release="3.7.0"), Answer(error=ModelError("d.onnx: cut short", hint="h")))
    found = summarised(entries(tmp_path / "now")[0], entries(tmp_path / "before")[0])
    assert [row.model for row in found.rows] == ["a.onnx", "b.onnx", "c.onnx", "d.onnx"]
    assert found.verdicts == {"converted": 2, "not-equal": 1, "not worked on": 1}
    assert found.changes is not None
    assert [(each.model, each.worse) for each in found.changes] == [
        ("a.onnx", True),
        ("b.onnx", False),
        ("d.onnx", False),
    ]
    assert found.changes[0].lines[0] == "verdict: converted -> not-equal"
    assert any(each.name == "cut short" and each.models == 1 for each in found.obstacles)


def test_only_the_newest_result_of_a_model_counts(tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    folder.keep(TASK, Answer(result=handmade.NOT_EQUAL))
    folder.keep(TASK._replace(digest="1" * 64), Answer(result=handmade.CONVERTED))
    found = summarised(entries(tmp_path)[0])
    assert ([row.verdict for row in found.rows], found.older) == (["converted"], 1)


def test_a_page_shows_names_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ResultsFolder(tmp_path / "kept")
    name = "<script>alert(1)</script>\x1b[31m\u202e.onnx"
    folder.keep(TASK._replace(path=name), Answer(result=handmade.CONVERTED))
    page = tmp_path / "page.html"
    assert main(["fleet", "report", str(tmp_path / "kept"), "--output-format", "html", "--output-file", str(page)]) == 0
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m\\u202e.onnx" in text
    assert "default-src 'none'; style-src 'sha256-" in text
    assert main(["fleet", "report", str(tmp_path / "kept")]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nowhere"], ["."], [".", "--output-format", "xml"]])
def test_what_is_no_campaign_is_told(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fleet", "report", *words]) == 2
    assert "MNN" not in sys.modules


def test_a_case_that_was_sent_is_as_representable_as_before() -> None:
    for dtype in ("float32", "int64", "bool", "float16"):
        array = np.ones(3, dtype)
        assert is_representable(array)
        assert is_representable(pickle.loads(pickle.dumps(array)))  # noqa: S301 - of this test
    assert not is_representable(pickle.loads(pickle.dumps(np.array(["a"]))))  # noqa: S301
