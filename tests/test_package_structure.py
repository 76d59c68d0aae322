"""The structure of the package: few units at the top, imports that point downwards, short modules and functions.

import-linter checks the same contract on what is imported when the program runs. Here imports under TYPE_CHECKING count
as well: a reader follows them in the same way.
"""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

UNITS = 24
LAYERS = 12
MODULE_LINES = 350
FUNCTION_LINES = 40
PACKAGE = "mnncompat"


class Import(NamedTuple):
    """One unit imports another one, at a line of a file."""

    source: str
    target: str
    place: str


def top_level_units(root: Path) -> frozenset[str]:
    """Modules and folders with modules that lie directly in the package."""
    folders = (path.name for path in root.iterdir() if path.is_dir() and any(path.rglob("*.py")))
    return frozenset((*folders, *(path.stem for path in root.glob("*.py"))))


def unit_imports(root: Path) -> Iterator[Import]:
    """Imports between units, wherever they stand; an import of the package itself is one of its `__init__`."""
    units = top_level_units(root)
    for path in sorted(root.rglob("*.py")):
        source = path.relative_to(root).parts[0].removesuffix(".py")
        for line, name in _imported(path, root.name):
            package, _, rest = name.partition(".")
            first = rest.partition(".")[0]
            target = first if first in units else "__init__"
            if package == root.name and target != source:
                yield Import(source, target, f"{path.relative_to(root.parent)}:{line}")


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imported(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """What a module imports, with the line: `from mnncompat import mnn` names `mnncompat.mnn`."""
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the import absolute"
            modules = {f"{package}.{alias.name}" for alias in node.names} if node.module == package else {node.module}
            yield from ((node.lineno, str(name)) for name in modules)


def circles(imports: dict[str, set[str]]) -> list[str]:
    """Units that reach themselves."""
    return sorted(unit for unit in imports if unit in _reached(unit, imports))


def _reached(start: str, imports: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = list(imports.get(start, ()))
    while ahead:
        unit = ahead.pop()
        if unit not in reached:
            reached.add(unit)
            ahead.extend(imports.get(unit, ()))
    return reached


def longest_path(imports: dict[str, set[str]]) -> list[str]:
    """The longest chain of imports between units; there must be no circle."""

    @cache
    def below(unit: str) -> tuple[str, ...]:
        chains: list[tuple[str, ...]] = [(), *(below(target) for target in sorted(imports.get(unit, ())))]
        return unit, *max(chains, key=len)

    longest = max((below(unit) for unit in sorted(imports)), key=len)
    return list(longest)


def upward(imports: list[Import], layers: list[frozenset[str]]) -> list[str]:
    """Imports that do not point to a lower layer; `__init__` and `__main__` lie above all layers."""
    level = {unit: number for number, layer in enumerate(layers) for unit in layer} | {"__init__": -1, "__main__": -2}
    return [
        f"{each.place}: {each.source} imports {each.target}"
        for each in imports
        if level[each.source] >= level[each.target]
    ]


def contract(repository: Path) -> list[frozenset[str]]:
    """The layers of the import contract, from the top."""
    settings = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in settings if each["type"] == "layers")
    return [frozenset(name.strip() for name in layer.split("|")) for layer in layers]


def long_modules(root: Path) -> list[str]:
    counted = {path: len(path.read_text().splitlines()) for path in sorted(root.rglob("*.py"))}
    return [f"{path.relative_to(root.parent)}: {lines}" for path, lines in counted.items() if lines > MODULE_LINES]


def long_functions(root: Path) -> list[str]:
    """Functions over the limit; decorators and the docstring do not count."""
    return [
        f"{path.relative_to(root.parent)}:{node.lineno}: {node.name}: {_length(node)}"
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(_parsed(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _length(node) > FUNCTION_LINES
    ]


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    documented = 0 if docstring is None else (docstring.end_lineno or 0) - docstring.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - documented


@pytest.fixture
def package(repository: Path) -> Path:
    return repository / PACKAGE


def by_unit(imports: list[Import]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in imports:
        found[each.source].add(each.target)
    return dict(found)


def test_few_units_lie_at_the_top(package: Path) -> None:
    units = top_level_units(package)
    assert len(units) <= UNITS, f"{len(units)} units in {PACKAGE}/: put the new one into the folder of its subject"


def test_units_import_downwards_only(package: Path, repository: Path) -> None:
    wrong = upward(list(unit_imports(package)), contract(repository))
    assert not wrong, (
        "against the layers in pyproject.toml; move the code down, or hand over what it needs as an argument:\n"
        + "\n".join(wrong)
    )


def test_units_form_no_circle_and_few_layers(package: Path) -> None:
    imports = by_unit(list(unit_imports(package)))
    assert not circles(imports), f"these units import each other: {', '.join(circles(imports))}"
    path = longest_path(imports)
    assert len(path) <= LAYERS, f"{len(path)} layers: cut one of the imports of {' -> '.join(path)}"


def test_modules_are_short(package: Path) -> None:
    found = long_modules(package)
    assert not found, f"over {MODULE_LINES} lines; split them by subject:\n" + "\n".join(found)


def test_functions_are_short(package: Path) -> None:
    found = long_functions(package)
    assert not found, f"over {FUNCTION_LINES} lines without the docstring; split them:\n" + "\n".join(found)


def test_the_structure_checks_find_what_they_look_for(tmp_path: Path) -> None:
    root = tmp_path / "house"
    (root / "low").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "high.py").write_text("from house.low import one\n" + "#\n" * MODULE_LINES)
    (root / "middle.py").write_text("def f():\n    from house import low\n" + "    x = 1\n" * FUNCTION_LINES)
    short = "def f():\n    '''A\n    docstring.'''\n" + "    x = 1\n" * (FUNCTION_LINES - 1)
    (root / "low" / "one.py").write_text(short + "if TYPE_CHECKING:\n    import house.high\n")

    assert top_level_units(root) == {"__init__", "high", "middle", "low"}
    imports = list(unit_imports(root))
    assert {(each.source, each.target) for each in imports} == {("high", "low"), ("middle", "low"), ("low", "high")}
    layers = [frozenset({"high", "middle"}), frozenset({"low"})]
    assert upward(imports, layers) == ["house/low/one.py:44: low imports high"]
    assert circles(by_unit(imports)) == ["high", "low"]
    assert longest_path({"a": {"b"}, "b": {"c"}, "d": {"c"}}) == ["a", "b", "c"]
    assert long_modules(root) == [f"house/high.py: {MODULE_LINES + 1}"]
    assert long_functions(root) == [f"house/middle.py:1: f: {FUNCTION_LINES + 2}"]
