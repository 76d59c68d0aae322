"""Models with their converted files, for commands that take one of each, or folders of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from glob import has_magic
from pathlib import Path
from typing import Any, TypeVar

from mnncompat.cli.batch import each_model
from mnncompat.cli.console import Reporting
from mnncompat.cli.fleet_options import FleetOptions
from mnncompat.errors import UsageError
from mnncompat.files.reachable import is_file, is_folder

Result = TypeVar("Result")


def each_pair(
    pairs: Mapping[Path, Path | None], work: Callable[[Path], Result], fleet: FleetOptions, reporting: Reporting
) -> tuple[list[Any], list[Result]]:
    """Do the work with each model and its file.

    Args:
        pairs: The models with their files.
        work: Called with each model.
        fleet: Where.
        reporting: How results are reported.

    Returns:
        As `each_model`.

    Raises:
        MnncompatError: There is only one model, which is worked on here, and the report is text; in other formats the
            error is in the report.
    """
    models = list(pairs)
    if len(models) == 1 and fleet.is_alone(models) and reporting.output_format == "text":
        found = [work(models[0])]
        return list(found), found
    own = {path: {"model": path, "file": file} for path, file in pairs.items()}
    reported, done = each_model(
        models, work, fleet=fleet, output_format=reporting.output_format, own=lambda path: own[path]
    )
    return list(reported), list(done)


def pairs_of(model: Path, file: Path | None) -> dict[Path, Path | None]:
    """Each model with its converted file.

    Args:
        model: A model; or a folder or a pattern, for all models in it.
        file: Its file; or the folder that holds `NAME.mnn` for each `NAME.onnx`. None if the command needs none.

    Raises:
        UsageError: A file is not there, several models would have the same, or there are no models.
    """
    from mnncompat.files.model_paths import model_files

    if not is_folder(model) and (is_file(model) or not has_magic(str(model))):
        return {model: file}
    models = model_files([model])
    if file is None:
        return dict.fromkeys(models)
    if not is_folder(file):
        raise UsageError(f"{file} is no folder, and {model} names several models", hint="give the folder of the files")
    found: dict[Path, Path | None] = {path: file / f"{path.stem}.mnn" for path in models}
    missing = next((each for each in found.values() if each is not None and not is_file(each)), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file", hint="make it with `mnncompat convert`")
    if len(set(found.values())) < len(found):
        raise UsageError(f"models of one name have one file in {file}", hint="verify them folder by folder")
    return found
