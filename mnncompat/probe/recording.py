"""Measurements that survive an interruption: a file of evidence that grows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mnncompat.errors import UsageError
from mnncompat.graph.atomic_files import require_writable, write_atomically
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
        OutputError: The file cannot be written.
        TableError: The file to continue is damaged.
        UsageError: It was measured in another environment.
    """

    def __init__(self, path: Path | None, header: Mapping[str, str], *, resume: bool) -> None:
        if path is not None:
            require_writable(path)
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
        write_atomically(self._path, written(self._header, self.found.values()).encode())
