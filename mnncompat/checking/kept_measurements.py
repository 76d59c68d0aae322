"""Measurements of users' nodes on one build of MNN and one kind of machine, in a file that processes share.

A node is known by its fingerprint (`mnncompat.probe.node_fingerprint`), so that the same convolution of a thousand
models is measured once: whoever measures a node claims it, and others that want it wait for what comes of that.
Machines may share the folder: those that differ in what is part of a measurement have a file each.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mnncompat.errors import OutputError, TableError
from mnncompat.probe.case import Case
from mnncompat.probe.evidence import as_read, read_evidence, written
from mnncompat.probe.measurement import Measurement

_DIGITS = 12
"""Of a hash that say which byte of the file of claims stands for a case: 48 bits."""


class KeptMeasurements:
    """The file.

    Args:
        folder: Where it is; None for a machine that keeps nothing.
        header: The environment of the measurements.
    """

    def __init__(self, folder: Path | None, header: Mapping[str, str]) -> None:
        self._header = dict(header)
        told = hashlib.sha256(repr(sorted(self._header.items())).encode()).hexdigest()[:8]
        name = f"nodes-{header['mnn']}-{header['machine']}-{told}"
        self._path = None if folder is None else folder / f"{name}.tsv"
        self.found: dict[str, Measurement] = self._read()

    def complete(self, cases: Sequence[Case], measure: Callable[[Sequence[Case]], Iterable[Measurement]]) -> None:
        """Have `found` hold every case: those that nobody measures now are measured here.

        Args:
            cases: The cases, each id once.
            measure: Measures some of them.
        """
        missing = [each for each in cases if each.id not in self.found]
        while missing:
            with self._claimed(missing) as mine:
                self.found |= self._read()  # since then, perhaps
                new = [each for each in mine if each.id not in self.found]
                self.found |= {each.id: as_read(each) for each in measure(new)}
                if new:
                    self._save()
            missing = [each for each in missing if each.id not in self.found]
            if missing:
                self._wait_for(missing[0])
                self.found |= self._read()

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Have `found` hold measurements that nobody else is to know."""
        self.found |= {each.id: as_read(each) for each in measurements}

    @contextlib.contextmanager
    def _claimed(self, cases: Sequence[Case]) -> Iterator[list[Case]]:
        """Those that no other process has claimed; all, if nothing can be claimed here."""
        try:
            claims = self._claims()
        except OSError:
            yield list(cases)
            return
        with claims:
            mine = []
            for each in cases:
                with contextlib.suppress(OSError):
                    fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(each))
                    mine.append(each)
            yield mine

    def _wait_for(self, case: Case) -> None:
        """Wait until the process that has claimed a case is done, or ended."""
        with self._claims() as claims:
            fcntl.lockf(claims, fcntl.LOCK_EX, 1, _byte(case))

    def _claims(self) -> BinaryIO:
        """The file of claims: a byte of it is locked for each case that is being measured.

        Raises:
            OSError: There can be none.
        """
        if self._path is None:
            raise FileNotFoundError
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.with_suffix(".claims").open("ab")

    def _read(self) -> dict[str, Measurement]:
        """What the file holds; nothing if it is of another environment, or none that can be read."""
        with contextlib.suppress(TableError):
            before, kept = read_evidence(self._path) if self._path is not None else ({}, {})
            return kept if before == self._header else {}
        return {}

    def _save(self) -> None:
        """Add to the file, which other processes may do as well; a cache that cannot be written is ignored."""
        from mnncompat.graph.atomic_files import write_atomically

        if self._path is None:
            return
        with contextlib.suppress(OSError, OutputError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                every = {**self._read(), **self.found}
                write_atomically(self._path, written(self._header, every.values()).encode(), cache=True)


def _byte(case: Case) -> int:
    return int(hashlib.sha256(case.id.encode()).hexdigest()[:_DIGITS], 16)
