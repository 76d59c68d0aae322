"""Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnncompat.deploying.code.interface import Api, comment, escaped, shape_words
from mnncompat.deploying.code.python_images import python_images, python_imports

if TYPE_CHECKING:
    from mnncompat.deploying.code.interface import CodeTensor, Interface

_DTYPES = {
    "float64": "expr.double",
    "int64": "expr.int64",
    "int32": "expr.int",
    "uint8": "expr.uint8",
    "int8": "expr.int8",
}

_MODULE = '''"""Run {file} with MNN's Module API: `pip install mnn{pinned} numpy`."""

from pathlib import Path

{mnn}import numpy as np
from MNN import expr, nn
{pil}
FILE = Path(__file__).with_name({path})
INPUTS = {{  # name: dtype, MNN's dtype, layout
{inputs}}}
OUTPUTS = [{outputs}]

_runtime = nn.create_runtime_manager(({{"backend": "CPU", "precision": "{precision}", "numThread": {threads}}},))
_module = nn.load_module_from_file(str(FILE), list(INPUTS), OUTPUTS, runtime_manager=_runtime)


def _given(name, value):
    """A variable with the values of an array."""
    dtype, held, layout = INPUTS[name]
    array = np.require(value, dtype, "C")
    if array.dtype.kind in "iu" and not np.array_equal(array, value):
        raise ValueError(f"{{name}}: the values do not fit into {{array.dtype}}")
    plain = expr.NHWC if layout == expr.NHWC else expr.NCHW
    variable = expr.const(array.ctypes.data, list(array.shape), plain, held)
    return expr.convert(variable, layout) if layout == expr.NC4HW4 else variable


def _read(variable):
    """A copy of the values of a variable."""
    if 0 in variable.shape:
        return np.zeros(variable.shape, np.float32)
    if variable.data_format == expr.NC4HW4:
        variable = expr.convert(variable, expr.NCHW)
    return np.array(variable.read(), copy=True).reshape(variable.shape)
{prepare}

def run({parameters}):
    """Compute the outputs.

    Args:
{arguments}
    Returns:
        Name -> array{tried}:
{results}    """
    given = {{{mapping}}}
    found = _module.forward([_given(name, given[name]) for name in INPUTS])
    return {{name: _read(each) for name, each in zip(OUTPUTS, found, strict=True)}}


if __name__ == "__main__":
{sizes}    for name, array in run({example}).items():
        print(name, array.dtype, array.shape)
'''

_SESSION = '''"""Run {file} with MNN's Session API: `pip install mnn{pinned} numpy`."""

from pathlib import Path

import MNN
import numpy as np
{pil}
FILE = Path(__file__).with_name({path})
INPUTS = {{  # name: dtype
{inputs}}}
OUTPUTS = [{outputs}]
NHWC, NCHW = 0, 1

_net = MNN.Interpreter(str(FILE))
_session = _net.createSession({{"backend": "CPU", "precision": "{precision}", "numThread": {threads}}})
_inputs = _net.getSessionInputAll(_session)


def _host(tensor):
    """A tensor of the same shape in memory that numpy sees."""
    return MNN.Tensor(tensor, NHWC if tensor.getDimensionType() == NHWC else NCHW)


def _resize(arrays):
    """Give the inputs the sizes of these arrays."""
    changed = [name for name, array in arrays.items() if tuple(_inputs[name].getShape()) != array.shape]
    for name in changed:
        _net.resizeTensor(_inputs[name], arrays[name].shape)
    if changed:
        _net.resizeSession(_session)


def _array(name, value):
    array = np.require(value, INPUTS[name], "C")
    if array.dtype.kind in "iu" and not np.array_equal(array, value):
        raise ValueError(f"{{name}}: the values do not fit into {{array.dtype}}")
    return array


def _read(tensor):
    """A copy of the values of an output."""
    if 0 in tensor.getShape():
        return np.zeros(tensor.getShape(), np.float32)
    host = _host(tensor)
    tensor.copyToHostTensor(host)
    return np.array(host.getNumpyData(), copy=True)
{prepare}

def run({parameters}):
    """Compute the outputs.

    Args:
{arguments}
    Returns:
        Name -> array{tried}:
{results}    """
    given = {{{mapping}}}
    arrays = {{name: _array(name, value) for name, value in given.items()}}
    _resize(arrays)
    for name, array in arrays.items():
        host = _host(_inputs[name])
        host.getNumpyData()[...] = array
        _inputs[name].copyFrom(host)
    code = _net.runSession(_session)
    if code:
        raise RuntimeError(f"MNN returns {{code}}")
    found = _net.getSessionOutputAll(_session)
    return {{name: _read(found[name]) for name in OUTPUTS}}


if __name__ == "__main__":
{sizes}    for name, array in run({example}).items():
        print(name, array.dtype, array.shape)
'''

_SIZES = "    # Zeros, at sizes at which the file ran; where ? stands above it may be given others.\n"


def python_code(interface: Interface) -> str:
    """A module with a function `run`."""
    is_module = interface.api is Api.MODULE
    template = _MODULE if is_module else _SESSION
    return template.format(
        file=comment(interface.file),
        path=escaped(interface.file),
        pinned=f"=={interface.version}" if interface.version else "",
        inputs="".join(_input(each, module=is_module) for each in interface.inputs),
        outputs=", ".join(escaped(each.name) for each in interface.outputs),
        mnn="import MNN\n" if interface.images else "",
        pil=python_imports(interface.images),
        prepare=python_images(interface.images),
        precision=interface.precision,
        threads=interface.threads,
        parameters=", ".join(each.identifier for each in interface.inputs),
        arguments="".join(_described(each.identifier, each) for each in interface.inputs) or "        None.\n",
        results="".join(_described(escaped(each.name), each) for each in interface.outputs),
        mapping=", ".join(f"{escaped(each.name)}: {each.identifier}" for each in interface.inputs),
        tried=f" (shapes {interface.tried})" if interface.tried else "",
        sizes=_SIZES if interface.tried else "",
        example=", ".join(f"np.zeros({list(each.example)}, np.{each.dtype})" for each in interface.inputs),
    )


def _input(tensor: CodeTensor, *, module: bool) -> str:
    if not module:
        return f"    {escaped(tensor.name)}: np.{tensor.dtype},\n"
    held = _DTYPES.get(tensor.dtype, "expr.float")
    return f"    {escaped(tensor.name)}: (np.{tensor.dtype}, {held}, expr.{tensor.layout}),\n"


def _described(name: str, tensor: CodeTensor) -> str:
    order = "NHWC" if tensor.layout == "NHWC" else "NCHW"
    layout = f", {order}" if len(tensor.shape) > 3 else ""  # noqa: PLR2004 - images
    return f"        {comment(name)}: {tensor.dtype}, {shape_words(tensor.shape)}{layout}.\n"
