"""Evidence survives being written and read, and says when it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnncompat.errors import TableError, UsageError
from mnncompat.probe.environment import cpu_features
from mnncompat.probe.evidence import evidence_path, load_evidence, read_evidence, written
from mnncompat.probe.measurement import Aspect, Measurement, Outcome
from mnncompat.probe.prober import _line
from mnncompat.probe.recording import Recording
from mnncompat.support import rule_files

HEADER = {"mnn": "3.6.1", "machine": "x86_64", "cpu": "avx2 fma"}
WORDS = st.text(max_size=200).map(_line)
MEASUREMENTS = st.one_of(
    st.builds(
        Measurement,
        id=st.just("node:x"),
        op=st.just("X"),
        outcome=st.sampled_from([each for each in Outcome if each not in (Outcome.WRONG, Outcome.OK)]),
        stage=st.sampled_from(["convert", "load", "run", "exit"]),
        cause=st.sampled_from(["", "SIGSEGV", "signal 99", "memory", "flood", "status 3"]),
        unstable=st.booleans(),
        detail=WORDS,
    ),
    st.builds(
        Measurement,
        id=st.just("node:x"),
        op=st.just("X"),
        outcome=st.just(Outcome.WRONG),
        aspect=st.sampled_from([each for each in Aspect if each]),
        unstable=st.booleans(),
        detail=WORDS,
    ),
    st.just(Measurement(id="node:x", op="X", outcome=Outcome.OK)),
)


@given(MEASUREMENTS)
def test_a_code_and_a_detail_say_everything(measurement: Measurement) -> None:
    again = Measurement.of_code(measurement.code, case="node:x", op="X", detail=measurement.detail)
    assert again == measurement


@given(MEASUREMENTS)
def test_evidence_round_trips(tmp_path_factory: pytest.TempPathFactory, measurement: Measurement) -> None:
    path = tmp_path_factory.getbasetemp() / "evidence.tsv"
    path.write_text(written(HEADER, [measurement]), encoding="utf-8")
    assert read_evidence(path) == (HEADER, {"node:x": measurement})


def test_the_order_does_not_depend_on_when_it_was_measured() -> None:
    cases = [Measurement(id=f"node:{name}", op="X", outcome=Outcome.OK) for name in "cab"]
    text = written(HEADER, cases)
    assert text == written(HEADER, reversed(cases))
    assert [line.split("\t")[1] for line in text.splitlines()[4:]] == ["node:a", "node:b", "node:c"]


@pytest.mark.parametrize("line", ["X\tnode:x", "X\tnode:x\tfine", "X\tnode:x\twrong:odd", "nothing"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "evidence.tsv"
    path.write_text(f"{written(HEADER, [])}{line}\n")
    with pytest.raises(TableError, match="line 5"):
        read_evidence(path)


def test_other_files_are_not_evidence(tmp_path: Path) -> None:
    for name, content in (("a", b"{}"), ("b", b"\xff\xfe"), ("c", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TableError):
            read_evidence(tmp_path / name)
    with pytest.raises(TableError, match="No such file"):
        load_evidence("0.0.0")


def test_a_recording_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "out.tsv"
    first = Recording(path, HEADER, resume=True)
    first.add(Measurement(id="node:b", op="X", outcome=Outcome.OK))
    assert not path.exists()
    first.save()
    second = Recording(path, HEADER, resume=True)
    assert list(second.found) == ["node:b"]
    second.add(Measurement(id="node:a", op="X", outcome=Outcome.HANG, stage="run"))
    second.save()
    assert list(read_evidence(path)[1]) == ["node:a", "node:b"]
    assert [each.name for each in tmp_path.iterdir()] == ["out.tsv"]
    assert Recording(path, HEADER, resume=False).found == {}
    with pytest.raises(UsageError, match=r"measured with another mnn: 3\.6\.1"):
        Recording(path, HEADER | {"mnn": "3.6.0"}, resume=True)


def test_the_processor_is_described() -> None:
    assert isinstance(cpu_features(), tuple)


RELEASES = ("3.0.0", "3.1.0", "3.2.0", "3.4.0", "3.4.1", "3.5.0", "3.6.0", "3.6.1")


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("version", RELEASES)
def test_every_release_has_evidence_in_the_form_that_would_be_written_again(version: str, *, rows: bool) -> None:
    path = evidence_path(version, "x86_64", rows=rows)
    header, found = read_evidence(path)
    assert header["mnn"] == version
    assert {"machine", "cpu", "onnx", "onnxruntime", "numpy"} <= set(header)
    assert len(found) > (700 if rows else 3000)
    assert path.read_text(encoding="utf-8") == written(header, found.values())
    case = "row:Add/not-MNN130/Gemm->Add [N] runtime w" if rows else "node:test_abs"
    assert load_evidence(version, rows=rows)[case].outcome is Outcome.OK


ON_ARM64 = [(RELEASES[-1], "low"), (RELEASES[-1], "high")]


@pytest.mark.parametrize(("version", "precision"), ON_ARM64)
def test_evidence_of_arm64_has_the_node_tests_of_an_emulated_processor(version: str, precision: str) -> None:
    path = evidence_path(version, "aarch64", precision=precision)
    header, found = read_evidence(path)
    assert (header["mnn"], header["machine"], header["cpu"]) == (version, "aarch64", "arm64:a76")
    assert header["precision"] == precision
    assert sum(each.startswith("node:") for each in found) > 1800
    assert path.read_text(encoding="utf-8") == written(header, found.values())
    assert found["node:test_softmax_large_number"].outcome is (Outcome.WRONG if precision == "low" else Outcome.OK)
    assert found["node:test_less"].outcome is Outcome.OK  # wrong on x86-64


def test_there_is_no_other_evidence() -> None:
    folder = rule_files.root() / "evidence"
    files = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
    names = {f"{place}{version}-x86_64.tsv" for version in RELEASES for place in ("", "rows/")}
    on_arm64 = [*ON_ARM64, (RELEASES[0], "low")]  # of the oldest release a part
    names |= {f"{place}{version}-aarch64-{precision}.tsv" for version, precision in on_arm64 for place in ("", "rows/")}
    names.add(f"{RELEASES[0]}-aarch64-high.tsv")  # and of that the node tests alone
    assert files == names
