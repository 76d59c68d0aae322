"""The version of mnncompat that writes a report."""

from __future__ import annotations


def tool_version() -> str:
    """Version of the installed distribution, `unknown` where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mnncompat")
    except PackageNotFoundError:
        return "unknown"
