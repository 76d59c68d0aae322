"""A rewrite is found by its file: by `fix`, which imports all of them, and by `check`, which reads their sources."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import parser

import mnncompat
from mnncompat.rewrites.core.model_rewrite import ModelRewrite
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
from mnncompat.rewrites.index import all_rewrites, requested_rewrite, requested_rewrites, searching_rewrites
from mnncompat.support import rule_files
from mnncompat.support.table import SupportTable

HEADER = """
from mnncompat.rewrites.core.base import Match, Rewrite
from mnncompat.rewrites.core.node_rewrite import NodeRewrite
"""
FIND = """
    def find(self, view, target):
        for index, node in enumerate(view.nodes):
            if node.op_type == "Tanh":
                yield Match(self.name, frozenset((index,)), ((index, self.summary),), index)
"""
APPLY = """
    def apply(self, match, editor):
        editor.edit(match.plan).op = "Sigmoid"
"""
PATTERN = f"""{HEADER}
class Planted(Rewrite):
    code = "MNN999"
    name = "planted"
    summary = "planted"
    op_types = ()
{FIND}{APPLY}"""
BASE = f"{HEADER}\nclass PlantedBase(Rewrite):\n    op_types = ()\n{FIND}{APPLY}"
INHERITS = """
from mnncompat.rewrites.elementwise._planted_base import PlantedBase

class Planted(PlantedBase):
    code = "MNN999"
    name = "planted"
    summary = "planted"
"""
NODE = f"""{HEADER}
class Planted(NodeRewrite):
    code = "MNN999"
    name = "planted"
    summary = "planted"
    op_types = ("Tanh",)

    def find(self, view, target):
        for index, node in enumerate(view.nodes):
            if node.op_type == "Tanh":
                yield self.match_node(view, index, target)

    def build(self, node, new):
        return new.op("Sigmoid", new.input(0))
"""
HIDDEN = f"""{HEADER}
def search(self, view, target):
    return ()

class Planted(NodeRewrite):
    code = "MNN999"
    name = "planted"
    summary = "planted"
    op_types = ("Tanh",)
    find = search

    def build(self, node, new):
        return new.op("Sigmoid", new.input(0))
"""


def planted(folder: Path, **files: str) -> Path:
    """A copy of the package with more files in a family."""
    package = Path(mnncompat.__file__).parent
    shutil.copytree(package, folder / "mnncompat", ignore=shutil.ignore_patterns("__pycache__", "_rules"))
    (folder / "rules").symlink_to(rule_files.root(), target_is_directory=True)
    for name, text in files.items():
        (folder / "mnncompat" / "rewrites" / "elementwise" / f"{name}.py").write_text(text)
    onnx.save(parser.parse_model(MODEL), folder / "model.onnx")
    return folder


MODEL = '<ir_version: 8, opset_import: ["": 17]> g (float[2,3] x) => (float[2,3] y) { y = Tanh(x) }'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mnncompat.cli import run; run()", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    "files",
    [{"planted": PATTERN}, {"_planted_base": BASE, "planted": INHERITS}, {"planted": NODE}],
    ids=["a pattern", "inherits its find", "a node rewrite with a find"],
)
def test_check_and_fix_agree_about_a_new_file(files: dict[str, str], tmp_path: Path) -> None:
    folder = planted(tmp_path, **files)
    checked = run(folder, "check", "model.onnx", "--output-format", "json", "--select", "MNN9")
    fixed = run(folder, "fix", "model.onnx", "-o", "out.onnx", "--no-verify", "--output-format", "json")
    (found,) = json.loads(checked.stdout)["results"][0]["diagnostics"]
    (applied,) = json.loads(fixed.stdout)["results"][0]["applied"]
    assert (found["name"], found["remedy"], found["fixable"], checked.returncode) == ("planted", "planted", True, 1)
    assert (applied["rewrite"], fixed.returncode) == ("planted", 0)
    assert [node.op_type for node in onnx.load(folder / "out.onnx").graph.node] == ["Sigmoid"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("planted", HIDDEN, "'planted' has a `find` that `check` cannot see in this file: define it in the class"),
        ("other", PATTERN, "the rewrite 'planted' belongs into a file of its own, planted.py"),
        ("planted", PATTERN.replace("op_types", 'before = (("nothing", "why"),)\n    op_types'), "which is no rewrite"),
    ],
)
def test_what_check_would_not_find_is_refused_with_what_to_do(
    name: str, text: str, expected: str, tmp_path: Path
) -> None:
    done = run(planted(tmp_path, **{name: text}), "fix", "model.onnx", "-o", "out.onnx")
    assert done.returncode == 2
    assert expected in done.stderr


def test_check_imports_what_searches_and_nothing_else() -> None:
    always = {"fully-connected-to-convolution", "layers-combined"}
    assert {each.name for each in searching_rewrites(with_hazard=False)} == always
    assert {each.name for each in searching_rewrites(with_hazard=True)} == always | {
        "fold-constants",
        "noise-as-input",
    }


def test_codes_and_names_are_unique() -> None:
    rewrites = (*all_rewrites(), *requested_rewrites())
    for key in ("code", "name"):
        values = [getattr(each, key) for each in rewrites]
        assert sorted(values) == sorted(set(values))


def test_every_rewrite_has_a_way_to_its_places() -> None:
    """A row names it, it looks for itself, or an option asks for it: otherwise it is never applied."""
    table = SupportTable()
    rows = (*table.graph_rows(), *(row for op in table.ops() for row in table.rows(op)))
    named = {row.remedy for row in rows}
    for each in all_rewrites():
        searches = type(each).find not in (NodeRewrite.find, ModelRewrite.find)
        chooses = isinstance(each, NodeRewrite) and type(each).applies_to is not NodeRewrite.applies_to
        assert each.name in named or searches or chooses, f"no row names '{each.name}' as its remedy"


def test_no_module_imports_a_rewrite_by_its_path() -> None:
    """Commands, the pipeline and the API use the index: moving or deleting a rewrite changes its own folder alone."""
    package = Path(mnncompat.__file__).parent
    families = "|".join(
        each.parent.name for each in (package / "rewrites").glob("*/__init__.py") if each.parent.name != "core"
    )
    named = re.compile(rf"^\s*(from|import) mnncompat\.rewrites\.({families})\b", re.MULTILINE)
    files = [file for file in package.rglob("*.py") if package / "rewrites" not in file.parents]
    assert len(files) > 100
    assert not [file.name for file in files if named.search(file.read_text())]


def test_a_rewrite_on_request_is_made_with_what_the_option_says() -> None:
    assert requested_rewrite("freeze-shapes", {"x": (1, 2)}).name == "freeze-shapes"
    assert {each.name for each in requested_rewrites()} == {"exact-gelu", "freeze-shapes"}
    with pytest.raises(KeyError):
        requested_rewrite("reduce-axes")


def test_rewrites_suggest_themselves() -> None:
    """Rewrites suggest an option only where it would help: not without GELU or quantised activations."""
    every = (*all_rewrites(), *requested_rewrites())
    plain = parser.parse_model(MODEL)
    gelu = parser.parse_model(MODEL.replace("Tanh", "Erf"))
    assert [each.name for each in every if each.suggestion(plain, ())] == []
    assert [each.name for each in every if each.suggestion(gelu, ())] == ["exact-gelu"]
    assert [each.name for each in every if each.suggestion(plain, ("quantize-in-float",))] == ["drop-rounding"]
