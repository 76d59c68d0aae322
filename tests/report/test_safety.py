"""Whatever the names of a model's nodes, a report stays valid in its own format."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from handmade import HOSTILE, RULES, SUBJECTS, hostile
from hypothesis import given
from hypothesis import strategies as st

from mnncompat.report import OutputFormat, findings, render
from mnncompat.report.printable import printable

ANSI = re.compile(r"\x1b\[[\d;]*m")
COMMAND = re.compile(r"::(?:error|warning|notice) (?P<properties>(?:[a-z]+=[^:,\r\n]*,?)+)::(?P<message>[^\r\n]*)")
NAMES = st.text(st.characters(), min_size=1, max_size=40) | st.sampled_from(
    [HOSTILE, "[/]", "[link=x]y[/link]", "::error::x", "%0A::error::x", "\x9b31m", "a,b:c=d", "![x](y)", "{0}", "*[x]*"]
)


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@given(NAMES)
def test_text_has_no_control_characters(name: str) -> None:
    for width in (None, 40):
        text = render(hostile(name), OutputFormat.TEXT, width=width)
        assert is_plain(text)
        assert text.encode()


@given(NAMES)
def test_colour_adds_styles_and_nothing_else(name: str) -> None:
    for width in (None, 40):
        colored = render(hostile(name), OutputFormat.TEXT, color=True, width=width)
        plain = [line.rstrip() for line in ANSI.sub("", colored).split("\n")]
        assert plain == render(hostile(name), OutputFormat.TEXT, width=width).split("\n")


@pytest.mark.parametrize("name", SUBJECTS)
def test_no_ansi_without_colour(name: str) -> None:
    for output_format in OutputFormat:
        assert "\x1b" not in render(SUBJECTS[name], output_format, rules=RULES)


@given(NAMES)
def test_concise_is_one_line_for_each_finding(name: str) -> None:
    subjects = hostile(name)
    lines = render(subjects, OutputFormat.CONCISE).splitlines()
    assert len(lines) == sum(len(findings(subject)) for subject in subjects)
    assert all(line.isprintable() for line in lines)


@given(NAMES)
def test_github_is_one_command_for_each_finding(name: str) -> None:
    subjects = hostile(name)
    lines = render(subjects, OutputFormat.GITHUB).split("\n")
    found = [each for subject in subjects for each in findings(subject)]
    assert lines.pop() == ""
    for line, each in zip(lines, found, strict=True):
        command = COMMAND.fullmatch(line)
        assert command is not None, line
        title = command["properties"].rpartition("title=")[2]
        assert unescaped(title) == printable(f"{each.code} {each.name}")
        assert printable(each.message) in unescaped(command["message"])


def unescaped(text: str) -> str:
    for code, char in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


@given(NAMES)
def test_json_gives_names_back(name: str) -> None:
    text = render(hostile(name), OutputFormat.JSON)
    assert text.isascii()
    found = json.loads(text)["results"][0]["diagnostics"][0]
    assert (found["message"], found["location"]["node"], found["location"]["outputs"]) == (name, name, [name])


@pytest.mark.parametrize("output_format", OutputFormat)
def test_the_same_twice(output_format: OutputFormat) -> None:
    subjects = [subject for subjects in SUBJECTS.values() for subject in subjects]
    assert render(subjects, output_format, rules=RULES) == render(subjects, output_format, rules=RULES)


PLAIN = """
import sys
from mnncompat.results.diagnostics import CheckResult, Diagnostic, Location, Severity
from mnncompat.report import OutputFormat, render
found = Diagnostic(code="MNN001", name="n", severity=Severity.ERROR, message="m", location=Location(), status="refused")
result = CheckResult(model="m.onnx", mnn_version="3.6.1", nodes=1, diagnostics=(found,))
assert render([result], OutputFormat.TEXT, color=True) and render([result], OutputFormat.CONCISE)
heavy = {"rich", "json", "numpy", "onnx", "hashlib", "typer", "MNN", "onnxruntime"} & sys.modules.keys()
assert not heavy, heavy
"""


def test_plain_text_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
