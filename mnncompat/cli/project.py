"""What `[tool.mnncompat]` says about single models: tables of models, rules ignored in files, and on nodes.

    [tool.mnncompat.per-file-ignores]
    "detectors/*.onnx" = ["MNN801"]

    [[tool.mnncompat.ignore-nodes]]
    rule = "MNN220"
    node = "/head/*"
    model = "detectors/*.onnx"    # of all models, if left out
    reason = "the last axis is meant"

    [[tool.mnncompat.models]]
    path = "detectors/*.onnx"
    output = "build/"             # a folder, or a file if one model matches
    shape = ["image:1,3,640,640"]

Patterns and paths are relative to the folder of the file. What is stated later wins; the command line wins over all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnncompat.cli.config import entry_of, nearest_table
from mnncompat.errors import UsageError
from mnncompat.files.model_paths import is_excluded, model_files
from mnncompat.files.reachable import is_folder

if TYPE_CHECKING:
    from mnncompat.results.diagnostics import Diagnostic, Suppressed

_COMMANDS = ("check", "fix", "convert")
# Key of a table of models -> (type, parameter, commands), beside those of [tool.mnncompat] itself.
_KEYS: dict[str, tuple[type, str, tuple[str, ...]]] = {
    "output": (str, "output", ("convert",)),
    "shape": (list, "shape", ("check", "convert")),
    "input": (dict, "data", _COMMANDS),
    "preprocess": (dict, "preprocess", _COMMANDS),
    "data-only": (bool, "data_only", ("fix", "convert")),
    "fp16": (bool, "fp16", ("convert",)),
    "weight-bits": (int, "weight_bits", ("convert",)),
    "keep-quantized": (bool, "keep_quantized", ("convert",)),
    "exact-gelu": (bool, "exact_gelu", ("convert",)),
    "external-weights": (bool, "external_weights", ("convert",)),
    "target-version": (str, "target_version", ("convert",)),
    "optimize-level": (int, "optimize_level", ("convert",)),
    "device": (str, "device", ("convert",)),
    "threads": (int, "threads", ("convert",)),
    "timeout": (float, "timeout", _COMMANDS),
    "memory-limit": (str, "memory_limit", _COMMANDS),
}
_HERE = ("host", "arm64")
"""Devices that are no other machine; a name that `[tool.mnncompat.devices]` declares may be one."""


class IgnoredNode(NamedTuple):
    """A rule that is ignored on nodes.

    Attributes:
        rule: Its code, the start of a code, or its name.
        node: Pattern of the nodes' paths.
        model: Pattern of the models; `*` for all.
        reason: Why.
    """

    rule: str
    node: str
    model: str
    reason: str


class ModelTable(NamedTuple):
    """One table of `[[tool.mnncompat.models]]`.

    Attributes:
        pattern: Of its models, relative to the folder of the file.
        settings: Values by command and parameter.
        folder: Where its results go, to be made if it does not exist; None if the table names none, or a file.
    """

    pattern: str
    settings: Mapping[str, Mapping[str, Any]]
    folder: Path | None


class Project(NamedTuple):
    """What a configuration says about single models.

    Attributes:
        folder: Folder of the file.
        ignores: Rules that are ignored in the models that a pattern matches.
        nodes: Rules that are ignored on nodes.
        tables: Tables of models.
    """

    folder: Path
    ignores: tuple[tuple[str, tuple[str, ...]], ...]
    nodes: tuple[IgnoredNode, ...]
    tables: tuple[ModelTable, ...]

    def models(self, exclude: Sequence[str]) -> list[Path]:
        """The models of all tables.

        Raises:
            UsageError: A table names no model.
        """
        return model_files([_shown(self.folder / each.pattern) for each in self.tables], exclude=exclude)

    def settings(self, command: str, model: Path, ignored: Sequence[str] | None) -> dict[str, Any]:
        """Values of a command's parameters for one model.

        Args:
            command: Name of the command.
            model: The model.
            ignored: Rules that are ignored already.
        """
        found: dict[str, Any] = {}
        for table in self.tables:
            if self._matches(model, table.pattern):
                found |= table.settings.get(command, {})
        more = [rule for pattern, rules in self.ignores if self._matches(model, pattern) for rule in rules]
        if more:
            found["ignore"] = [*(found.get("ignore") or ignored or ()), *more]
        return found

    def suppressed(self, model: Path, found: Sequence[Diagnostic]) -> tuple[list[Diagnostic], list[Suppressed]]:
        """The findings of a model without those that are ignored on their nodes, and these."""
        from mnncompat.results.diagnostics import Suppressed
        from mnncompat.support.row_choice import means

        rules = [each for each in self.nodes if self._matches(model, each.model)]
        left: list[Diagnostic] = []
        aside: list[Suppressed] = []
        for each in found:
            by = next(
                (
                    rule
                    for rule in rules
                    if each.location.path
                    and fnmatchcase(each.location.path, rule.node)
                    and means(rule.rule, each.code, each.name)
                ),
                None,
            )
            if by is None:
                left.append(each)
            else:
                aside.append(Suppressed(diagnostic=each, by="configuration", reason=by.reason))
        return left, aside

    def _matches(self, model: Path, pattern: str) -> bool:
        folder = (self.folder / pattern).resolve()
        return is_excluded(model.resolve(), [str(folder)]) or is_excluded(model, [pattern])


def project() -> Project | None:
    """What the configuration says about single models; None if nothing.

    Raises:
        UsageError: A table is not as it should be.
    """
    file, table = nearest_table()
    given = {key: table[key] for key in ("per-file-ignores", "ignore-nodes", "models") if key in table}
    if file is None or not given:
        return None
    read = _Reader(file)
    return Project(
        file.parent,
        tuple((key, read.texts(value, key)) for key, value in given.get("per-file-ignores", {}).items()),
        tuple(read.node(each) for each in read.tables(given.get("ignore-nodes", []), "ignore-nodes")),
        tuple(read.model(each) for each in read.tables(given.get("models", []), "models")),
    )


class _Reader:
    """Reads tables of a file, and says where one is not as it should be."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def tables(self, value: Any, key: str) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._wrong(f"{key} must be tables", f"write [[tool.mnncompat.{key}]]")
        return value

    def texts(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(f"{key} must be a list of texts", f'for instance {key} = ["MNN801"]')
        return tuple(value)

    def node(self, table: dict[str, Any]) -> IgnoredNode:
        texts = {key: table.get(key, "*" if key == "model" else "") for key in IgnoredNode._fields}
        unknown = sorted(set(table) - set(texts))
        if unknown or not all(isinstance(each, str) and each.strip() for each in texts.values()):
            told = f"ignore-nodes has no key '{unknown[0]}'" if unknown else "ignore-nodes lacks a rule, node or reason"
            raise self._wrong(
                told, 'write rule = "MNN220", node = "/head/*" and reason = "..."; model = "..." is optional'
            )
        return IgnoredNode(**texts)

    def model(self, table: dict[str, Any]) -> ModelTable:
        pattern = table.get("path")
        if not isinstance(pattern, str) or not pattern:
            raise self._wrong("a table of models has no path", 'write path = "detectors/*.onnx"')
        settings: dict[str, dict[str, Any]] = {}
        for key, value in table.items():
            if key == "path":
                continue
            kind, parameter, commands = _KEYS.get(key) or entry_of(key, value, self._file)
            for command in commands:
                settings.setdefault(command, {})[parameter] = self._value(key, value, kind)
        output = table.get("output", "")
        return ModelTable(pattern, settings, self._inside("output", output) if output.endswith("/") else None)

    def _value(self, key: str, value: Any, kind: type) -> Any:
        fits = isinstance(value, (int, float) if kind is float else kind) and not (
            kind in (int, float) and isinstance(value, bool)
        )
        if not fits:
            raise self._wrong(f"{key} of a table of models must be a {kind.__name__}", "correct it")
        if kind is list:
            return list(self.texts(value, key))
        if key == "output":
            return self._output(value)
        if key == "device" and value.partition(":")[0] not in _HERE:
            raise self._wrong("a table of models may not name another machine", "give --device on the command line")
        if kind is dict:
            if not all(isinstance(each, str) for each in value.values()):
                raise self._wrong(
                    f"{key} of a table of models must name texts", f'for instance {key} = {{ image = "..." }}'
                )
            named = {name: self._inside(key, each) if key == "input" else each for name, each in value.items()}
            return [f"{name}={each}" for name, each in named.items()]
        return value

    def _output(self, value: str) -> Path:
        """Where results go: a configuration overwrites nothing but converted files."""
        path = self._inside("output", value)
        if value.endswith("/") or path.suffix == ".mnn" or is_folder(path):
            return path
        raise self._wrong(f"output = '{value}' is neither a folder nor an .mnn file", 'write "build/" or "build/x.mnn"')

    def _inside(self, key: str, value: str) -> Path:
        """A path below the folder of the file: a configuration reads and writes nothing elsewhere."""
        folder = self._file.parent.resolve()
        if not (folder / value).resolve().is_relative_to(folder):
            raise self._wrong(f"{key} = '{value}' is outside the folder of the file", "name a path below it")
        return _shown(self._file.parent / value)

    def _wrong(self, message: str, hint: str) -> UsageError:
        return UsageError(f"{self._file}: {message}", hint=hint)


def _shown(path: Path) -> Path:
    """The path relative to the working directory if it is below it."""
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return path
