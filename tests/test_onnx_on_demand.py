"""`import onnx` on demand: what is asked for is there, and the same as in the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import onnx.parser
import pytest

PROGRAM = """
import sys
from pathlib import Path
from mnncompat.cli.onnx_on_demand import import_onnx_on_demand
import_onnx_on_demand()
import onnx
import pytest
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


def test_types_that_numpy_lacks_come_when_they_are_asked_for() -> None:
    program = (
        "from onnx import helper, numpy_helper\nimport numpy as np\n"
        "helper.make_node('Relu', ['x'], ['y'])\nprint('ml_dtypes._ml_dtypes_ext' in sys.modules)\n"
        "kind = helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)\n"
        "tensor = numpy_helper.from_array(np.ones(2, kind))\n"
        "import ml_dtypes\nprint(kind == ml_dtypes.bfloat16, tensor.data_type, ml_dtypes.finfo(kind).bits)"
    )
    assert output_of(program).split() == ["False", "True", "16", "16"]


def test_the_table_of_types_is_that_of_onnx() -> None:
    program = (
        "table = onnx._mapping.TENSOR_TYPE_MAP\n"
        "from onnx import helper\nimport numpy as np\n"
        "kinds = 16 in helper.get_all_tensor_dtypes(), helper.np_dtype_to_tensor_dtype(np.dtype('float16'))\n"
        "made = helper.make_tensor('a', 1, [2], [1.0, 2.0])\n"
        "print(*kinds, len(made.float_data), 'ml_dtypes._ml_dtypes_ext' in sys.modules)\n"
        "import ml_dtypes\nprint(helper.np_dtype_to_tensor_dtype(np.dtype(ml_dtypes.bfloat16)))\n"
        "real = onnx._mapping.TENSOR_TYPE_MAP\n"
        "print(type(real) is dict, list(table) == sorted(real), len(table) == len(real), 0 in table, 16 in table)\n"
        "print(all(tuple(table[each]) == tuple(real[each]) for each in real), dict(table.items()) == real)"
    )
    assert output_of(program).split("\n") == ["True 10 2 False", "16", "True True True False True", "True True"]


@pytest.mark.parametrize("op", ["Relu", "Hardmax"])
def test_converting_loads_no_types_that_numpy_lacks(op: str, tmp_path: Path) -> None:
    """Also what is rewritten, through graphsurgeon, which asks for all of them."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y) {{y = {op}(x)}}'
    model = onnx.parser.parse_model(text)
    onnx.save(model, tmp_path / "model.onnx")
    program = (
        "import io, contextlib\nfrom mnncompat.cli import main\n"
        f"words = {['convert', str(tmp_path / 'model.onnx'), '-o', str(tmp_path / 'made.mnn')]!r}\n"
        "with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):\n"
        "    status = main(words)\n"
        "print(status, 'ml_dtypes._ml_dtypes_ext' in sys.modules)"
    )
    assert output_of(program) == "0 False"
