"""`import onnx` on demand: what is asked for is there, and the same as in the package."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from mnncompat.cli.onnx_on_demand import import_onnx_on_demand
import_onnx_on_demand()
import onnx
"""


def output_of(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_messages_need_no_helpers() -> None:
    program = (
        "from onnx import ModelProto, TensorProto\n"
        "m = onnx.load_from_string(ModelProto(ir_version=8).SerializeToString())\n"
        "print(m.ir_version, TensorProto.FLOAT, 'onnx.helper' in sys.modules, 'onnx.compose' in sys.modules)"
    )
    assert output_of(program) == "8 1 False False"


def test_modules_come_when_they_are_asked_for() -> None:
    program = "print(onnx.helper.make_node('Relu', ['x'], ['y']).op_type, 'onnx.compose' in sys.modules)"
    assert output_of(program) == "Relu False"


def test_everything_else_executes_the_package() -> None:
    program = (
        "print(bool(onnx.__version__), onnx.compose.__name__, onnx.load_model.__module__)\n"
        "from onnx import version\nimport onnx.reference\nprint(version.__name__, '__getattr__' in vars(onnx))"
    )
    assert output_of(program).split() == ["True", "onnx.compose", "onnx", "onnx.version", "False"]


def test_what_is_not_there_is_an_attribute_error() -> None:
    assert output_of("print(hasattr(onnx, 'nothing_like_it'), hasattr(onnx, 'ModelProto'))") == "False True"


def test_names_are_the_same_objects_after_the_package_was_executed() -> None:
    program = "before = onnx.ModelProto\nonnx.__version__\nprint(before is onnx.ModelProto, len(onnx.__all__) > 40)"
    assert output_of(program) == "True True"
