"""Find and read `rules/`: the facts about MNN that ship with the package.

The folder lies beside the package in a checkout or an editable install, and inside it (`mnncompat/_rules`) in a wheel.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from mnncompat.errors import TableError

_REINSTALL = "install mnncompat again: pip install --force-reinstall mnncompat"


@cache
def root() -> Path:
    """The folder `rules/`.

    Raises:
        TableError: Neither place has it.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_rules", package.parent / "rules"):
        if (folder / "declared.json").is_file():
            return folder
    raise TableError(f"the folder of rules is missing beside {package}", hint=_REINSTALL)


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON file of `rules/`.

    Raises:
        TableError: It is missing, unreadable or not a JSON object.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: {error}", hint=_REINSTALL) from error
    if not isinstance(data, dict):
        raise TableError(f"{path}: is not a JSON object", hint=_REINSTALL)
    return data


def read_toml(path: Path) -> dict[str, Any]:
    """Read one TOML file of `rules/`.

    Raises:
        TableError: It is missing, unreadable or not TOML.
    """
    return parse_toml(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Read a file of `rules/`.

    Raises:
        TableError: It is missing or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: {error}", hint=_REINSTALL) from error


def parse_toml(source: bytes, path: Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        TableError: It is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(source.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: {error}", hint=_REINSTALL) from error
