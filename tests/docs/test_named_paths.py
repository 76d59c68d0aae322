"""ARCHITECTURE.md names every unit and layer; every path and link that the documents name exists."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_package_structure import PACKAGE, contract, top_level_units

GUIDES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md")
MADE = "rules"
"""Of the documentation's folder, what is made when the site is built, and its links checked then."""
# A path from the root: a folder that is followed by more, or a document at the top. `<Op>` stands for any name;
# what goes on with `@` is an action of a release.
_PATH = re.compile(
    r"(?<![\w/.:-])(?:(?:mnncompat|rules|tests|docs|examples)/(?![\w./-]*@)[\w./<>-]*|[A-Z]+\.md|pyproject\.toml)"
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_LAYER = re.compile(r"^\| (\d*) ?\| `(\w+)` \| [^|\s]", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def layer_table(text: str) -> dict[str, list[str]]:
    """Units of the table of layers, by the number of their layer."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for number, unit in _LAYER.findall(text):
        found[number].append(unit)
    return dict(found)


def missing_paths(text: str, root: Path) -> list[str]:
    """Paths that a document names and that do not exist."""
    named = {name.rstrip("./") for name in _PATH.findall(text)}
    return sorted(name for name in named if not any(root.glob(re.sub("<[^>]*>", "*", name))))


def broken_links(document: Path) -> Iterator[str]:
    """Relative links of a document that lead nowhere: no such file, or no such heading in it."""
    for link in _LINK.findall(_CODE.sub("", document.read_text())):
        target, _, heading = link.partition("#")
        if ":" in target:
            continue
        path = document.parent / target if target else document
        if document.parent.name == "docs" and target.startswith(f"{MADE}/"):
            continue
        if not path.exists() or (heading and heading not in _headings(path)):
            yield link


def _headings(document: Path) -> set[str]:
    lines = _CODE.sub("", document.read_text()).splitlines()
    titles = (line.lstrip("#").strip().lower() for line in lines if line.startswith("#"))
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


def documents(repository: Path) -> list[Path]:
    folders = (repository / name for name in ("docs", "examples", "rules", "tests"))
    return [*repository.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))]


def test_architecture_names_every_unit(repository: Path) -> None:
    named = [unit for units in layer_table((repository / "ARCHITECTURE.md").read_text()).values() for unit in units]
    assert sorted(named) == sorted(top_level_units(repository / PACKAGE)), "one line each in the table of layers"


def test_architecture_shows_the_layers_of_the_contract(repository: Path) -> None:
    table = layer_table((repository / "ARCHITECTURE.md").read_text())
    layers = contract(repository)
    assert {number: set(units) for number, units in table.items() if number} == {
        str(number): set(units) for number, units in enumerate(layers, 1)
    }, "the table of layers in ARCHITECTURE.md differs from the contract in pyproject.toml"


@pytest.mark.parametrize("name", GUIDES)
def test_paths_exist(name: str, repository: Path) -> None:
    missing = missing_paths((repository / name).read_text(), repository)
    assert not missing, f"{name} names what does not exist: {', '.join(missing)}"


def test_links_lead_somewhere(repository: Path) -> None:
    broken = [
        f"{document.relative_to(repository)}: {link}"
        for document in documents(repository)
        for link in broken_links(document)
    ]
    assert not broken, "\n".join(broken)


def test_decisions_are_listed(repository: Path) -> None:
    index = (repository / "docs" / "decisions" / "README.md").read_text()
    pages = {path.name for path in (repository / "docs" / "decisions").glob("*.md")} - {"README.md"}
    assert pages == set(_LINK.findall(index)), "docs/decisions/README.md links to each page"


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    (tmp_path / "rules" / "ops").mkdir(parents=True)
    (tmp_path / "rules" / "ops" / "Add.toml").write_text("")
    text = "`rules/ops/<Op>.toml`, rules/nothing.json, src:path/rules/x, and https://example.com/rules/ops/, NONE.md."
    assert missing_paths(text, tmp_path) == ["NONE.md", "rules/nothing.json"]
    document = tmp_path / "A.md"
    document.write_text("# One: two\n[a](#one-two) [b](#two) [c](B.md) [d](https://x.org/) [e](rules/ops/Add.toml)\n")
    assert list(broken_links(document)) == ["#two", "B.md"]
    assert layer_table("| 1 | `cli` | prints |\n| | `x` | y |\n| 2 | `b` | |") == {"1": ["cli"], "": ["x"]}
