"""Code that runs a converted file, in the language of the application."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING

from mnncompat.deploying.code.interface import Api, interface_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mnncompat.deploying.code.interface import Interface
    from mnncompat.results.file_info import MnnFileInfo


class Language(StrEnum):
    """What the code is written in."""

    PYTHON = "python"
    """A module with a function `run`, on numpy arrays."""
    CPP = "cpp"
    """A class `Model`."""
    KOTLIN = "kotlin"
    """A class `Model` for Android, which calls native code."""
    JNI = "jni"
    """That native code: the C++ class, and the functions that Kotlin calls."""
    OBJC = "objc"
    """A class `MNNModel` for iOS, in a file that ends with .mm."""


_WRITERS = {
    Language.PYTHON: ("python_code", "python_code"),
    Language.CPP: ("cpp_code", "cpp_code"),
    Language.KOTLIN: ("kotlin_code", "kotlin_code"),
    Language.JNI: ("kotlin_code", "jni_code"),
    Language.OBJC: ("objc_code", "objc_code"),
}


def snippet(
    found: MnnFileInfo,
    language: Language,
    *,
    api: Api | None = None,
    precision: str = "high",
    threads: int = 4,
    preprocess: Mapping[str, str] | None = None,
) -> str:
    """Code that loads a file, feeds it in its layouts and dtypes, runs it and reads its outputs.

    Args:
        found: What is known about the file (`mnncompat.deploying.mnn_facts.mnn_info`).
        language: What to write.
        api: MNN's API to use; None for a Session where one runs the file, else a Module.
        precision: `high`, `normal` or `low`.
        threads: Number of threads.
        preprocess: Inputs that are images -> how they are prepared (`mnncompat.parity.images`); the code prepares them.

    Raises:
        ModelError: MNN does not run the file.
        UsageError: The API does not run it, or an input does not take such images.
    """
    module, name = _WRITERS[language]
    write: Callable[[Interface], str] = getattr(import_module(f"mnncompat.deploying.code.{module}"), name)
    known = interface_of(found, api=api, precision=precision, threads=threads, preprocess=preprocess or {})
    return write(known)
