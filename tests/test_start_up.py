"""Nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

HEAVY = ("MNN", "_tools", "onnxruntime", "torch", "onnx_graphsurgeon", "rich", "jsonschema", "json.tool", "onnx.helper")
MESSAGES = "onnx.onnx_ml_pb2"
"""Of the package onnx itself there is an entry from the start."""
PROGRAM = """
import sys
from mnncompat.cli import main
from mnncompat.cli.onnx_on_demand import import_onnx_on_demand
import_onnx_on_demand()
status = main(sys.argv[2:])
found = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("imported:", ",".join(found), file=sys.stderr)
sys.exit(status)
"""


def imported(arguments: list[str]) -> str:
    command = [sys.executable, "-c", PROGRAM, ",".join((*HEAVY, MESSAGES, "numpy")), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stderr.splitlines()[-1].removeprefix("imported:").strip()


@pytest.mark.parametrize("output_format", ["text", "concise", "json", "sarif", "github"])
def test_check_imports_only_onnx(output_format: str, tutorial: Path) -> None:
    """Nor does it import numpy, which takes as long as all else that a check does, or what of onnx is not needed.

    SARIF tells the rules, those of all rewrites as well.
    """
    found = imported(["check", str(tutorial), "--output-format", output_format])
    assert found == (f"onnx.helper,{MESSAGES},numpy" if output_format == "sarif" else MESSAGES)


def test_inference_with_functions_of_our_own_imports_no_numpy(tmp_path: Path) -> None:
    """A Slice is guarded by one, and real models slice what they pooled."""
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[1,3,8,8] x) => (float[1,3,4,4] y) <int64[2] starts = {0, 0}, int64[2] ends = {1, 3}>
    { p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (x) y = Slice(p, starts, ends) }""")
    onnx.save(model, tmp_path / "sliced.onnx")
    assert imported(["check", str(tmp_path / "sliced.onnx")]) == MESSAGES


def test_version_imports_nothing() -> None:
    assert imported(["--version"]) == ""


def test_help_imports_nothing() -> None:
    assert imported(["check", "--help"]) == ""


def test_the_package_imports_nothing() -> None:
    program = f"import sys, mnncompat; print([n for n in {(*HEAVY, 'onnx', 'numpy')!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_process_that_runs_mnn_imports_what_it_needs_alone() -> None:
    program = "import sys, mnncompat.mnn.worker; print(*(name for name in sys.argv[1:] if name in sys.modules))"
    others = [f"mnncompat.mnn.{name}" for name in ("converter", "fork_client", "graph", "request", "session")]
    names = (*others, "subprocess", "dataclasses", "inspect", "numpy", "MNN")
    done = subprocess.run([sys.executable, "-c", program, *names], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"
