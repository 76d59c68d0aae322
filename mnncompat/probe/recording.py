"""Measurements that survive an interruption: a file of evidence that grows."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.errors import OutputError, UsageError
from mnncompat.probe.evidence import read_evidence, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mnncompat.probe.measurement import Measurement

_EVERY_SECONDS = 10.0


class Recording:
    """The measurements so far, written to a file at intervals and at the end.

    Args:
        path: The file, None to keep it in memory.
        header: The environment of the measurements, see `mnncompat.probe.environment.describe`.
        resume: Whether to continue with the measurements in the file.

    Raises:
        TableError: The file to continue is damaged.
        UsageError: It was measured in another environment.
    """

    def __init__(self, path: Path | None, header: Mapping[str, str], *, resume: bool) -> None:
        self._path, self._header = path, dict(header)
        self.found: dict[str, Measurement] = {}
        if resume and path is not None and path.exists():
            before, self.found = read_evidence(path)
            differing = [key for key, value in self._header.items() if before.get(key) != value]
            if differing:
                raise UsageError(
                    f"{path} was measured with another {differing[0]}: {before.get(differing[0])}",
                    hint="measure again without --resume, or into another file",
                )
        self._saved = time.monotonic()

    def add(self, measurement: Measurement) -> None:
        """Take one in."""
        self.found[measurement.id] = measurement
        if time.monotonic() - self._saved > _EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the file in one step.

        Raises:
            OutputError: It cannot be written.
        """
        self._saved = time.monotonic()
        if self._path is None:
            return
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            try:
                part.write_text(written(self._header, self.found.values()), encoding="utf-8")
                part.replace(self._path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror or error}", hint="check the folder and the disk"
            ) from error
