"""MNN runs on as many threads as it is told, not on the four of its default, which wait in a loop for each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mnncompat import mnn
from mnncompat.mnn import ConvertOptions, Limits

MODEL = "agraph (float[1,8,16,16] x) => (float[1,8,16,16] y) { t = Transpose<perm = [0,1,3,2]>(x) y = Add(x, t) }"
LOADED = """
import os, sys
from mnncompat.mnn import worker
worker.preload("run")
before = len(os.listdir("/proc/self/task"))
module = worker.load(sys.argv[1], ["x"], ["y"], threads=int(sys.argv[2]))
print(len(os.listdir("/proc/self/task")) - before)
"""


def test_a_module_has_the_threads_that_it_is_told(onnx_file: Callable[..., Path], limits: Limits) -> None:
    model = onnx_file(MODEL)
    converted = mnn.convert(model, model.with_suffix(".mnn"), options=ConvertOptions(), limits=limits)
    assert isinstance(converted, mnn.Converted), converted
    for threads in (1, 2):
        command = [sys.executable, "-c", LOADED, str(converted.path), str(threads)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        assert ran.stdout.splitlines()[-1] == str(threads - 1)
