"""The models that a command works on, as they are named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from mnncompat.cli.declared import argument, option

Models = Annotated[
    list[Path] | None,
    argument(
        metavar="MODEL...",
        help="ONNX files; folders, of which all .onnx files are taken that git does not ignore; patterns such as "
        "'models/**/*.onnx'. Without any: those of [[tool.mnncompat.models]]. "
        "`mnncompat check -` reads standard input.",
        show_default=False,
    ),
]
OneModel = Annotated[Path, argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Exclude = Annotated[
    list[str] | None,
    option(
        "--exclude",
        metavar="PATTERN",
        help="Leave these out of folders and patterns: `*-draft.onnx`, `old/`, `detectors/*.onnx`. Repeatable.",
    ),
]
ForceExclude = Annotated[
    bool, option("--force-exclude", help="Leave out also files that are named themselves, as hooks of pre-commit do.")
]
Config = Annotated[
    Path | None,
    option("--config", metavar="FILE", help="Read [tool.mnncompat] from this file. [default: nearest pyproject.toml]"),
]


class SearchOptions(NamedTuple):
    """Which models are meant, and where their settings are."""

    exclude: Exclude = None
    force_exclude: ForceExclude = False
    config: Config = None

    def models(self, given: Sequence[Path] | None) -> list[Path]:
        """The models that the words of a command line name, each once (`mnncompat.files.model_paths`).

        Raises:
            UsageError: A folder or a pattern names no model.
            Ended: All that are named are excluded.
        """
        from mnncompat.files.model_paths import SUFFIX

        found = found_models(given or (), self.exclude, self.force_exclude)
        if all(path.suffix == SUFFIX for path in found):
            return found
        from mnncompat.cli.data_files import models_of

        return found_models(models_of(found), self.exclude, self.force_exclude)


def found_models(given: Sequence[Path], exclude: Sequence[str] | None, force: bool | None) -> list[Path]:  # noqa: FBT001
    """The files that words of a command line name (`mnncompat.files.model_paths`).

    Raises:
        UsageError: A folder or a pattern names no model.
        Ended: All that are named are excluded.
    """
    from mnncompat.cli import Ended
    from mnncompat.files.model_paths import model_files

    found = model_files(given, exclude=tuple(exclude or ()), named=bool(force))
    if given and not found:
        raise Ended(0)
    return found


ALL_MODELS = SearchOptions()
"""As they are by default."""
