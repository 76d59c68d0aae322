"""`mnncompat.lock`: a TOML file with a table for each model, in the order of their paths."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mnncompat.errors import UsageError
from mnncompat.results.kept_record import OutputRecord, Record

VERSION = 1
_HEAD = (
    "# Written by `mnncompat ci --update`; commit it. What is in it was measured; nobody has to edit it.\n"
    f"version = {VERSION}\n"
)
_HINT = "write it again with `mnncompat ci --update`"


def read_lock(path: Path) -> dict[str, Record]:
    """Read a lock file.

    Returns:
        Records by path; empty if there is no such file.

    Raises:
        UsageError: It is no lock file of this version.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: is no lock file: {error}", hint=_HINT) from error
    tables = document.get("model", [])
    if document.get("version") != VERSION or not isinstance(tables, list):
        raise UsageError(f"{path}: is no lock file of this version of mnncompat", hint=_HINT)
    try:
        found = [_record(each) for each in tables]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"{path}: a table is not as mnncompat writes it: {error}", hint=_HINT) from error
    return {each.path: each for each in found}


def lock_text(records: Mapping[str, Record]) -> str:
    """A lock file as text."""
    return "\n".join([_HEAD, *(_table(records[path]) for path in sorted(records))])


def _table(record: Record) -> str:
    lines = ["[[model]]"]
    for each in fields(record):
        value = getattr(record, each.name)
        if each.name != "outputs" and value is not None:
            lines.append(f"{each.name} = {_value(value)}")
    for name, output in record.outputs.items():
        lines.append(f"[model.outputs.{_quoted(name)}]")
        for each in fields(output):
            value = getattr(output, each.name)
            if value is not None:
                lines.append(f"{each.name} = {_value(value)}")
    return "\n".join([*lines, ""])


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value)
        case float():
            return repr(value) if math.isfinite(value) else ("nan" if math.isnan(value) else f"{'-' * (value < 0)}inf")
        case int():
            return str(value)
        case tuple():
            items = [_value(each) for each in value]
            if all(isinstance(each, str) for each in value) and value:
                return "[\n" + "".join(f"  {each},\n" for each in items) + "]"
            return f"[{', '.join(items)}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _quoted(text: str) -> str:
    """A basic string; what UTF-8 cannot hold becomes a question mark."""
    return json.dumps(text.encode(errors="replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007F")


def _record(table: dict[str, Any]) -> Record:
    outputs = {name: _checked(OutputRecord, each) for name, each in table.get("outputs", {}).items()}
    record: Record = _checked(Record, {**table, "outputs": outputs})
    return record


def _checked(kind: Any, table: dict[str, Any]) -> Any:
    """A record from a table; lists become tuples, whole numbers floats where these are meant."""
    values = {}
    for each in fields(kind):
        if each.name not in table:
            if each.default is MISSING and each.default_factory is MISSING:
                raise KeyError(each.name)
            continue
        value = table[each.name]
        values[each.name] = tuple(value) if isinstance(value, list) else value
        wanted = str(each.type).split(" ")[0]
        if wanted == "float":
            values[each.name] = float(value)
        elif wanted in ("str", "int", "bool") and type(value).__name__ != wanted:
            raise TypeError(f"{each.name} is no {wanted}")
    unknown = set(table) - {each.name for each in fields(kind)}
    if unknown:
        raise KeyError(min(unknown))
    return kind(**values)
