"""Compile generated C++ and Objective-C++ against declarations of the API that it uses."""

from __future__ import annotations

from pathlib import Path

import clang.cindex

DECLARATIONS = Path(__file__).with_name("declarations")


def diagnostics(code: str, name: str, *flags: str) -> list[str]:
    """What the compiler says about code."""
    options = ["-std=c++11", "-Wall", "-Wextra", "-nostdinc", "-nostdinc++", "-fexceptions", *flags]
    where = ["-I", str(DECLARATIONS), "-I", str(DECLARATIONS / "std")]
    unit = clang.cindex.Index.create().parse(name, args=[*options, *where], unsaved_files=[(name, code)])
    return [str(each) for each in unit.diagnostics]
