"""Compile generated C++ and Objective-C++ against declarations of the API that it uses."""

from __future__ import annotations

from pathlib import Path

import clang.cindex

DECLARATIONS = Path(__file__).with_name("declarations")


def diagnostics(code: str, name: str, *flags: str) -> list[str]:
    """What the compiler says about code."""
    return [str(each) for each in _unit(code, name, *flags).diagnostics]


def declared(code: str, name: str) -> set[str]:
    """The names that code declares."""
    return {each.spelling for each in _unit(code, name).cursor.walk_preorder() if each.spelling}


def _unit(code: str, name: str, *flags: str) -> clang.cindex.TranslationUnit:
    options = ["-std=c++11", "-Wall", "-Wextra", "-nostdinc", "-nostdinc++", "-fexceptions", *flags]
    where = ["-I", str(DECLARATIONS), "-I", str(DECLARATIONS / "std")]
    return clang.cindex.Index.create().parse(name, args=[*options, *where], unsaved_files=[(name, code)])
