"""`rules/geometry.json`: follows its schema, and fits `rules/backends.json` and the releases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jsonschema
import pytest

from mnncompat import UsageError
from mnncompat.backends.registry import backend, names, require
from mnncompat.support import rule_files
from mnncompat.support.releases import releases

ROOT = rule_files.root()
DATA = rule_files.read_json(ROOT / "geometry.json")
BACKENDS = rule_files.read_json(ROOT / "backends.json")


def test_follows_the_schema() -> None:
    schema = json.loads((ROOT / "geometry.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(DATA)


def ranged() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for table in DATA["lowered"].values():
        yield from table.items()
    yield from DATA["shape_values"].items()
    for entry in DATA["backends"].values():
        for group in entry.get("without", ()):
            yield entry["registered"], [group]


def test_ranges_are_known_releases_in_order_and_do_not_overlap() -> None:
    order = DATA["versions"]
    assert order == BACKENDS["versions"]
    assert set(order) <= releases().dates.keys()
    for op, rows in ranged():
        spans = [(order.index(row["since"]), order.index(row["until"] or order[-1])) for row in rows]
        assert all(first <= last for first, last in spans), op
        assert all(before[1] < after[0] for before, after in pairwise(spans)), op


def test_every_backend_has_its_list() -> None:
    registered = {entry["registered"] for entry in DATA["backends"].values()}
    assert registered == BACKENDS["backends"].keys() - {"cpu"}
    assert {entry["compiler"] for entry in DATA["backends"].values()} == DATA["compilers"].keys()
    assert {entry["execution"] for entry in DATA["backends"].values()} == DATA["executions"].keys()


@pytest.mark.parametrize("version", DATA["versions"])
def test_what_geometry_makes_can_be_run_by_the_cpu(version: str) -> None:
    """MNN's CPU takes the loop compiler: were a target missing there, no model with that op would run at all."""
    found = backend("opencl", version)
    for op, into in found.lowered.items():
        assert found.cpu.issuperset(into), op


@pytest.mark.parametrize("version", DATA["versions"])
def test_what_geometry_makes_is_made_of_itself(version: str) -> None:
    """No target is an op that would itself be lowered into other ops."""
    found = backend("opencl", version)
    for op, into in found.lowered.items():
        for target in into:
            assert found.lowered.get(target, (target,)) == (target,), op


def test_the_compilers_as_mnn_has_them() -> None:
    compilers = {name: backend(name, "3.6.1").compiler for name in names()}
    assert {name for name, compiler in compilers.items() if compiler == "geometry"} == {"coreml", "nnapi", "tensorrt"}
    assert {name for name, compiler in compilers.items() if compiler == "origin"} == {"hiai", "opengl", "qnn"}
    assert "MatMul" not in backend("nnapi", "3.6.1").lowered
    assert backend("opencl", "3.6.1").lowered["GatherV2"] == ("While",)
    assert backend("qnn", "3.6.1").lowered == {}


def test_releases_differ() -> None:
    assert "MatMul" not in backend("qnn", "3.2.1").registered
    assert "MatMul" in backend("qnn", "3.2.2").registered
    assert backend("opencl", "3.6.9") == backend("opencl", "3.6.1")
    with pytest.raises(UsageError, match=r"MNN 3\.0\.0 has no backend qnn"):
        backend("qnn", "3.0.0")


def test_variants_differ() -> None:
    image, buffer, either = (backend(name, "3.6.1") for name in ("opencl-image", "opencl-buffer", "opencl"))
    assert image.registered | buffer.registered == either.registered
    assert "ArgMax" in buffer.registered - image.registered
    assert "DeconvolutionDepthwise" in image.registered - buffer.registered
    assert backend("vulkan", "3.6.1").registered == backend("vulkan-image", "3.6.1").registered


def test_unknown_names_are_told_the_known_ones() -> None:
    assert require(["nnapi", "nnapi", "coreml"]) == ("nnapi", "coreml")
    with pytest.raises(UsageError, match="unknown backend: nnap") as caught:
        require(["nnap"])
    assert "nnapi" in caught.value.hint
