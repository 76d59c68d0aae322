"""The files of `rules/` are what they claim to be."""

from __future__ import annotations

import json
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import onnx
import pytest
from onnx_fit import history, misfits
from packaging.specifiers import SpecifierSet

from mnncompat.checking.checker import UNDECLARED
from mnncompat.rewrites.index import all_rewrites, requested_rewrites
from mnncompat.support import compiled_rules, rule_files
from mnncompat.support.deployment import ARCHITECTURES
from mnncompat.support.releases import contains, releases
from mnncompat.support.table import SupportTable

ROOT = rule_files.root()
FILES = [*sorted(ROOT.glob("ops/*.toml")), ROOT / "graph.toml"]
OP_FILES = FILES[:-1]
MEASURED = sorted(path.name.partition("-")[0] for path in ROOT.glob("evidence/*.tsv"))
SCHEMA = json.loads((ROOT / "schema.json").read_text())
BACKENDS = {
    *("coreml", "nnapi", "qnn", "opencl", "vulkan-buffer", "vulkan-image"),
    *("metal", "hiai", "tensorrt", "cuda", "opengl", "cpu"),
}


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def rows(path: Path) -> list[dict[str, Any]]:
    data = read(path)
    found: list[dict[str, Any]] = data["support"] if "support" in data else data["graph"]
    return found


def all_rows() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in FILES:
        for row in rows(path):
            yield path, row


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_follows_the_schema(path: Path) -> None:
    trouble = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(read(path)))
    assert trouble is None, (
        f"{path.name}: {trouble.json_path}: {trouble.message}\n"
        "docs/row-language.md lists what may be there; `make docs` brings new relations into rules/schema.json"
    )


def test_the_compiled_rows_are_those_of_the_files() -> None:
    """What is behind is read from TOML: right, and slow."""
    behind = "run `mnncompat dev compile-rules`"
    assert (ROOT / compiled_rules.FILE).read_bytes() == compiled_rules.compile_rules(ROOT), behind
    for path in FILES:
        source = path.read_bytes()
        assert compiled_rules.compiled(ROOT, path.stem, source) == tomllib.loads(source.decode()), path
        assert compiled_rules.compiled(ROOT, path.stem, source + b" ") is None, path


def test_trusted_rows_are_those_that_are_checked() -> None:
    trusted, checked = SupportTable(), SupportTable(trusted=False)
    for op in trusted.ops():
        for one, other in zip(trusted.rows(op), checked.rows(op), strict=True):
            assert (one.code, one.mnn, one.reason, one.when.text) == (
                other.code,
                other.mnn,
                other.reason,
                other.when.text,
            )


def test_damaged_compiled_rows_are_not_read(tmp_path: Path) -> None:
    for contents in (b"", b'["Add",1,{"a":1}]\n', b'["Add",907060870,{"a":\n', b'["Add",907060870,[]]\n'):
        folder = tmp_path / str(len(contents))
        folder.mkdir()
        (folder / compiled_rules.FILE).write_bytes(contents)
        assert compiled_rules.compiled(folder, "Add", b"hello") is None
    assert zlib.crc32(b"hello") == 907060870


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", OP_FILES, ids=lambda path: path.stem)
def test_rows_say_what_onnx_defines(path: Path) -> None:
    assert history(path.stem), f"ONNX has no operator {path.stem}"
    for row in rows(path):
        assert list(misfits(path.stem, row)) == [], row.get("code")


@pytest.mark.parametrize(
    ("op", "row", "words"),
    [
        ("Resize", {"when": {"opset": "<10"}}, "there is no Resize"),
        ("Resize", {"when": {"opset": ">=180"}}, "there is no Resize"),
        ("Relu", {"when": {"inputs": 2}}, "never has that many"),
        ("MaxPool", {"when": {"outputs": ">2"}}, "never has that many"),
        ("MaxPool", {"when": {"outputs": 1, "output": {"1": "used"}}}, "has no output.1 then"),
        ("Clip", {"when": {"inputs": "<3", "input": {"2": {"rank": 0}}}}, "has no input.2 then"),
        ("Conv", {"when": {"attr": {"stride": {"any": ">1"}}}}, "no such attribute"),
        ("ReduceSum", {"when": {"opset": ">=13", "attr": {"axes": {"given": True}}}}, "no such attribute in these"),
        ("Softmax", {"when": {"attr": {"axis": "last"}}}, "is INT"),
        ("Softmax", {"when": {"attr": {"axis": 1.5}}}, "is INT"),
        ("Softmax", {"when": {"attr": {"axis": {"any": ">1"}}}}, "is INT"),
        ("Softmax", {"when": {"attr": {"axis": {"length": 1}}}}, "is INT"),
        ("Softmax", {"when": {"attr": {"axis": {"range": ">1,<2"}}}}, "no integer"),
        ("Conv", {"when": {"attr": {"strides": {"range": ">1"}}}}, "is INTS"),
        ("Conv", {"when": {"attr": {"strides": 1}}}, "is INTS"),
        ("Conv", {"when": {"attr": {"strides": [["1", "1"]]}}}, "is INTS"),
        ("Conv", {"when": {"attr": {"auto_pad": {"length": 4}}}}, "is STRING"),
        ("Conv", {"when": {"attr": {"auto_pad": 4}}}, "is STRING"),
        ("Conv", {"when": {"attr": {"auto_pad": {"not": "SAME_UPPR"}}}}, "does not name this value"),
        ("Conv", {"when": {"attr": {"auto_pad": ["same_upper"]}}}, "does not name this value"),
        ("Conv", {"when": {"attr": {"auto_pad": ["SAME"]}}}, "does not name this value"),
        ("If", {"when": {"attr": {"then_branch": 1}}}, "is GRAPH"),
        ("Relu", {"when": {"input": {"1": "present"}}}, "1 of them at most"),
        ("Relu", {"when": {"input": {"-2": "present"}}}, "1 of them at most"),
        ("Relu", {"when": {"output": {"1": "used"}}}, "1 of them at most"),
        ("Relu", {"when": [{}, {"input": {"0": "absent"}}]}, "never absent"),
        ("Relu", {"when": {"input": {"0": {"dtype": "BOOL"}}}}, "takes none"),
        ("Relu", {"when": {"opset": "<14", "input": {"0": {"dtype": ["INT32", "INT64"]}}}}, "takes none"),
        ("Relu", {"when": {"input": {"0": {"producer": "Convolution"}}}}, "no such operator"),
        ("Relu", {"when": {}, "unless": {"input": {"0": {"producer": ["Conv", "Rellu"]}}}}, "'Rellu'"),
        ("Relu", {"when": {}, "reason": "of {attr.slope}"}, "no such attribute"),
        ("Relu", {"when": {}, "reason": "of {input.1.dtype}"}, "1 of them at most"),
    ],
)
def test_what_onnx_does_not_define_is_found(op: str, row: dict[str, Any], words: str) -> None:
    found = list(misfits(op, row))
    assert len(found) == 1
    assert words in found[0]


def defaults(op: str) -> dict[str, Any]:
    """Attributes whose default is the same in every opset from 7 on."""
    schemas = [s for s in history(op) if not s.deprecated] or list(history(op))
    oldest = max((s.since_version for s in schemas if s.since_version <= 7), default=0)
    schemas = [s for s in schemas if s.since_version >= oldest]
    found: dict[str, list[onnx.AttributeProto]] = {}
    for schema in schemas:
        for name, attribute in schema.attributes.items():
            found.setdefault(name, []).append(attribute.default_value)
    return {
        name: onnx.helper.get_attribute_value(values[0])
        for name, values in found.items()
        if values[0].type and all(value == values[0] for value in values)
    }


@pytest.mark.parametrize("path", OP_FILES, ids=lambda path: path.stem)
def test_defaults_are_those_of_onnx(path: Path) -> None:
    stated, expected = read(path).get("defaults", {}), defaults(path.stem)
    assert stated.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert stated[name] == pytest.approx(value)
        elif isinstance(value, list):
            assert [item.encode() if isinstance(item, str) else item for item in stated[name]] == value
        else:
            assert stated[name] == (value.decode() if isinstance(value, bytes) else value)


def test_a_code_has_one_name_and_one_status() -> None:
    """One status on each architecture: processors may show one cause in their own ways."""
    meanings: dict[tuple[str, str], set[tuple[str, str]]] = {}
    codes: dict[str, set[str]] = {}
    for _, row in all_rows():
        for arch in row.get("arch", ARCHITECTURES) if "code" in row else ():
            meanings.setdefault((row["code"], arch), set()).add((row["name"], row["status"]))
            codes.setdefault(row["name"], set()).add(row["code"])
    assert {code: found for code, found in meanings.items() if len(found) > 1} == {}
    twice = {name: found for name, found in codes.items() if len(found) > 1}
    assert not twice, f"each code has a name of its own: {twice}"


def test_no_row_stands_twice() -> None:
    for path in FILES:
        stated = [
            json.dumps([row.get(key) for key in ("code", "mnn", "arch", "find", "when", "unless")])
            for row in rows(path)
        ]
        assert sorted(set(stated)) == sorted(stated), path.name


def test_no_code_is_used_again() -> None:
    retired = read(ROOT / "retired.toml")["retired"]
    assert retired, "rules/retired.toml lists none"
    again = {row["code"]: str(path) for path, row in all_rows() if row.get("code") in retired}
    again |= {each.code: each.name for each in all_rewrites() if each.code in retired}
    assert not again, f"take another code (`mnncompat dev next-code`), these are retired for good: {again}"


def test_no_two_rewrites_have_the_same_code() -> None:
    """Two that are written at the same time may take the same next one: `mnncompat rule` knows only one of them."""
    counted = Counter(each.code for each in (*all_rewrites(), *requested_rewrites()))
    assert [code for code, count in counted.items() if count > 1] == []


def test_codes_stay_in_their_ranges() -> None:
    for path, row in all_rows():
        if row.get("code", UNDECLARED) != UNDECLARED:
            number = int(row["code"].removeprefix("MNN"))
            assert (10 <= number < 100) if path.name == "graph.toml" else (100 <= number < 800), row["code"]


def test_remedies_exist() -> None:
    known = {rewrite.name for rewrite in all_rewrites()}
    missing = {f"{path.name}: {row['remedy']}" for path, row in all_rows() if row.get("remedy", "") not in {"", *known}}
    assert not missing, f"no rewrite is called so; `mnncompat dev new-rewrite` writes one: {missing}"


def test_versions_are_specifiers_that_we_read_as_packaging_does() -> None:
    for specifier in {row["mnn"] for _, row in all_rows()}:
        for version in releases().dates:
            assert contains(specifier, version) == SpecifierSet(specifier).contains(version), (specifier, version)
        assert any(contains(specifier, version) for version in releases().dates), f"no release is {specifier}"


def test_every_row_can_be_read() -> None:
    table = SupportTable()
    assert len(table.graph_rows()) == len(rows(ROOT / "graph.toml"))
    assert {op: len(table.rows(op)) for op in table.ops()} == {path.stem: len(rows(path)) for path in OP_FILES}


def test_declared_ops_lie_in_known_releases() -> None:
    known = releases()
    assert len(known.dates) == 114
    order = list(known.dates)
    assert list(known.dates.values()) == sorted(known.dates.values())
    for op, ranges in known.ops.items():
        assert ranges, op
        for first, last in ranges:
            assert order.index(first) <= order.index(last or known.newest), op


def test_every_operator_of_onnx_has_a_file() -> None:
    defined = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert {path.stem for path in OP_FILES} == defined


@pytest.mark.parametrize("path", OP_FILES, ids=lambda path: path.stem)
def test_undeclared_rows_are_what_the_releases_declare(path: Path) -> None:
    undeclared = [row for row in rows(path) if row.get("code") == UNDECLARED]
    for version in MEASURED:
        said = [row for row in undeclared if contains(row["mnn"], version)]
        assert bool(said) is not releases().declares(path.stem, version), version
        assert not said or not said[-1]["when"], "the last one holds for every form"
    for row in undeclared:
        assert (row["name"], row["status"]) == ("undeclared-op", "refused")
        assert row.get("advice")
        assert f"rules/declared.json: {path.stem}" in row["evidence"]


def test_backends_lie_in_known_releases() -> None:
    data = rule_files.read_json(ROOT / "backends.json")
    assert set(data["backends"]) == BACKENDS
    assert set(data["versions"]) <= releases().dates.keys()
    for found in data["backends"].values():
        for group in found:
            assert {group["since"], group["until"] or group["since"]} <= set(data["versions"])
            assert group["ops"] == sorted(set(group["ops"]))
