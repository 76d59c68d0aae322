"""Command lines that are read without typer mean what typer takes them for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from mnncompat.cli.commands import COMMANDS, command_named
from mnncompat.cli.declared import Declared, declarations, for_typer
from mnncompat.cli.plain_words import plain_call


class Seen(Exception):  # noqa: N818 - what a command was called with
    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.values = values


def recorder(name: str) -> Callable[..., None]:
    """A command with the parameters of that one, which only says what it was called with."""
    command = command_named(name)

    def record(**values: Any) -> None:
        raise Seen(values)

    record.__annotations__ = command.__annotations__
    record.__module__ = command.__module__
    record.__signature__ = inspect.signature(command, eval_str=True)  # type: ignore[attr-defined]
    return record


def by_typer(name: str, words: list[str], defaults: dict[str, Any]) -> dict[str, Any] | None:
    """What typer calls the command with; None if it refuses."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    app.command(name)(for_typer(recorder(name)))
    try:
        app([name, *words], standalone_mode=False, default_map={name: defaults})
    except Seen as seen:
        return seen.values
    except Exception:  # noqa: BLE001 - a refusal, however it is put
        return None
    return None


def by_words(name: str, words: list[str], defaults: dict[str, Any]) -> dict[str, Any] | None:
    call = plain_call(recorder(name), words, defaults)
    if call is None:
        return None
    with pytest.raises(Seen) as caught:
        call()
    return dict(command_named(name).__kwdefaults__ or {}) | dict(caught.value.values)


PLAIN = {
    "check": ["a.onnx", "b.onnx", "--mnn", "3.4.0", "--select=MNN8", "--select", "MNN1", "--probe", "--seed", "7"],
    "fix": ["a.onnx", "-o", "b.onnx", "--diff", "--no-verify", "--timeout", "2.5", "--shape", "x:1,2"],
    "convert": ["--quiet", "-q", "a.onnx", "--fp16", "--weight-bits", "8", "--no-power", "--tolerance", "1e-3"],
    "verify": ["a.onnx", "b.mnn", "--tolerance", "y=1e-3", "--memory-limit", "4GB", "--timeout", "3"],
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_words_are_read_without_typer(name: str) -> None:
    assert by_words(name, PLAIN[name], {}) == by_typer(name, PLAIN[name], {}) is not None


def test_the_configuration_comes_before_the_defaults_and_after_the_words() -> None:
    configured = {"mnn": "3.0.0", "select": ["MNN8"], "fail_on": "error"}
    found = by_words("check", ["a.onnx", "--mnn", "3.4.0"], configured)
    assert found == by_typer("check", ["a.onnx", "--mnn", "3.4.0"], configured)
    assert found is not None
    assert (found["mnn"], found["select"], found["fail_on"]) == ("3.4.0", ["MNN8"], "error")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["a.onnx", "--unknown"],
        ["a.onnx", "--mnn"],
        ["--", "a.onnx"],
        ["a.onnx", "--seed", "x"],
        ["a.onnx", "--seed", "-1"],
        ["a.onnx", "--seed", str(2**63)],
        ["a.onnx", "--probe=yes"],
        ["a.onnx", "--mnn="],
        ["-"],
    ],
)
def test_what_is_not_plain_is_left_to_typer(words: list[str]) -> None:
    assert plain_call(command_named("check"), words, {}) is None


@pytest.mark.parametrize("configured", [{"seed": -1}, {"select": [1]}, {"unsafe_fixes": 1}])
def test_a_configuration_that_does_not_fit_is_left_to_typer(configured: dict[str, Any]) -> None:
    assert plain_call(command_named("fix"), ["a.onnx", "--diff"], configured) is None


def test_a_file_that_may_not_be_read_is_left_to_typer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(b"x")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert plain_call(command_named("check"), [str(file)], {}) is None


def test_every_parameter_of_every_command_is_declared() -> None:
    for name in COMMANDS:
        for each in declarations(command_named(name)):
            assert isinstance(each, Declared)
            assert each.stated.is_option == bool(each.stated.names), each


STATED = [name for each in declarations(command_named("convert")) for name in each.stated.names]
NAMES = sorted({word for name in STATED for word in name.split("/")})
VALUES = ["a.onnx", "1", "0", "-1", "007", "1e-3", "x", "", "x=1", "--", "-q", "1_0", " 3", "2.", "true"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*NAMES, *VALUES, *(f"{name}=1" for name in NAMES)]), max_size=6))
def test_what_is_taken_means_what_typer_takes_it_for(words: list[str]) -> None:
    found = by_words("convert", words, {})
    if found is not None:
        assert found == by_typer("convert", words, {})
