"""Arrays on their way between parent and child."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from mnncompat.mnn.arrays import read_arrays, write_arrays

ARRAYS: list[np.ndarray] = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.arange(12).reshape(3, 4).T,
    np.arange(10, dtype=np.int8)[::2],
    np.array(2.5),
    np.array([[True], [False]]),
    np.zeros((0, 3), np.float16),
    np.array([np.nan, np.inf], np.float64),
    np.array(7, np.uint16),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays", ARRAYS)
    found = read_arrays(tmp_path / "arrays")
    assert [each.dtype for each in found] == [each.dtype for each in ARRAYS]
    for one, two in zip(found, ARRAYS, strict=True):
        assert np.array_equal(one, two, equal_nan=two.dtype.kind == "f")
        assert one.shape == two.shape
        assert one.flags.writeable
        assert one.flags.aligned


def test_no_arrays(tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays", [])
    assert read_arrays(tmp_path / "arrays") == []


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays", ARRAYS)
    whole = (tmp_path / "arrays").read_bytes()
    (tmp_path / "arrays").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="truncated"):
        read_arrays(tmp_path / "arrays")


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays", ARRAYS)
    counts: list[int] = []

    def read() -> None:
        counts.extend(len(read_arrays(tmp_path / "arrays")) for _ in range(200))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [len(ARRAYS)] * 800
