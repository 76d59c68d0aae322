"""MNN's Session API (`MNN.Interpreter`), with which most applications run a file. In the child process, for the worker.

The Module API, by which the worker judges a file, runs subgraphs (While, If); a Session does not: every output then has
the shape (0, 0, 0, 0) and `runSession` returns an error, which applications seldom look at. A Session also loses inputs
that no op reads.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

_NHWC, _NCHW = 0, 1
"""MNN's numbers of the layouts of a host tensor."""
_CODES = {
    1: "out of memory",
    2: "not supported",
    3: "sizes cannot be computed",
    4: "no execution",
    5: "invalid value",
    10: "input data error",
}
"""What `runSession` returns (include/MNN/ErrorCode.hpp)."""


class SessionError(Exception):
    """The Session gives no outputs. What it is raised with says why."""


class UntriedError(Exception):
    """Python cannot feed or read this Session; an application in C++ may. What it is raised with says why."""


def run_session(
    path: str,
    feeds: Sequence[Mapping[str, np.ndarray]],
    outputs: Sequence[str],
    *,
    threads: int = 1,
    precision: str = "high",
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Run a file in a Session, on the CPU. Never raises.

    Args:
        path: The `.mnn` file.
        feeds: The draws: input name -> array, in the logical layout and the dtype that MNN holds the input in.
        outputs: Names of the outputs.
        threads: Number of threads.
        precision: `high`, `normal` or `low`.

    Returns:
        `lost`, inputs that the Session does not have; `missing`, outputs that it does not have; `problem`, why there
        are no outputs, and `untried`, why it was not run, each empty if that is not so. And the outputs that it has,
        of one draw after the other.
    """
    wanted = {"backend": "CPU", "numThread": threads, "precision": precision}
    told: dict[str, Any] = {"lost": [], "missing": [], "problem": "", "untried": ""}
    try:
        return told, _computed(path, feeds, outputs, told, wanted)
    except SessionError as error:
        told["problem"] = str(error)
    except UntriedError as error:
        told["untried"] = str(error)
    except Exception as error:  # noqa: BLE001 - pymnn raises plain exceptions
        told["problem"] = f"{type(error).__name__}: {error}"
    return told, []


def op_seconds(path: str, shapes: Mapping[str, Sequence[int]], runs: int) -> list[tuple[str, str, float]]:
    """Time every op of a file in a Session, on one thread of the CPU. Its inputs are zeros.

    Args:
        path: The `.mnn` file.
        shapes: Input -> its shape, where that is not the file's.
        runs: How often it is run, after one run that does not count.

    Returns:
        For each op that ran, in order: its name, its type, and the median of its wall time in seconds. An op that MNN
        lowers has several entries, whose names go on after that of the op.

    Raises:
        SessionError: The Session does not run.
    """
    import MNN

    net = MNN.Interpreter(path)
    session = net.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
    inputs = net.getSessionInputAll(session)
    for name, shape in shapes.items():
        if name in inputs:
            net.resizeTensor(inputs[name], tuple(shape))
    net.resizeSession(session)
    for name, tensor in inputs.items():
        host = _host(tensor)
        if host is not None:
            _values(host, f"input {name!r}")[...] = 0
            tensor.copyFrom(host)
    seen: list[list[tuple[str, str, float]]] = []
    for _ in range(runs + 1):
        seen.append([])
        code = net.runSessionWithCallBackInfo(session, *_stopwatch(seen[-1]))
        if code not in (0, None):
            raise SessionError(f"runSession returns {code} ({_CODES.get(code, 'an error')})")
    return [(*same[0][:2], median(each[2] for each in same)) for same in zip(*seen[1:], strict=True)]


def _stopwatch(seen: list[tuple[str, str, float]]) -> tuple[Callable[..., bool], Callable[..., bool]]:
    """What MNN calls before and after each op; ops are added with the seconds between."""
    begun: list[float] = []

    def before(_tensors: object, _op: object) -> bool:
        begun[:] = [perf_counter()]
        return True

    def after(_tensors: object, op: Any) -> bool:
        seen.append((op.getName(), op.getType(), perf_counter() - begun[0]))
        return True

    return before, after


def _computed(
    path: str,
    feeds: Sequence[Mapping[str, np.ndarray]],
    outputs: Sequence[str],
    told: dict[str, Any],
    wanted: dict[str, Any],
) -> list[np.ndarray]:
    import MNN

    net = MNN.Interpreter(path)
    session = net.createSession(wanted)
    inputs = net.getSessionInputAll(session)
    told["lost"] = [name for name in feeds[0] if name not in inputs]
    found: list[np.ndarray] = []
    for feed in feeds:
        given = {name: array for name, array in feed.items() if name in inputs}
        _resize(net, session, inputs, given)
        for name, array in given.items():
            _write(inputs[name], array, name)
        code = net.runSession(session)
        if code:
            raise SessionError(f"runSession returns {code} ({_CODES.get(code, 'an error')})")
        computed = net.getSessionOutputAll(session)
        told["missing"] = [name for name in outputs if name not in computed]
        found += [_read(computed[name], name) for name in outputs if name in computed]
    return found


def _resize(net: Any, session: Any, inputs: Mapping[str, Any], feed: Mapping[str, np.ndarray]) -> None:
    """Give the inputs the sizes of a draw, as an application does where they are not those of the file."""
    other = [name for name, array in feed.items() if tuple(inputs[name].getShape()) != array.shape]
    for name in other:
        net.resizeTensor(inputs[name], feed[name].shape)
    if other:
        net.resizeSession(session)


def _write(tensor: Any, array: np.ndarray, name: str) -> None:
    host = _host(tensor)
    if host is None:
        raise SessionError(f"its input {name!r} has the shape {list(tensor.getShape())}, not {list(array.shape)}")
    values = _values(host, f"input {name!r}")
    if values.shape != array.shape:
        raise SessionError(f"its input {name!r} has the shape {list(values.shape)}, not {list(array.shape)}")
    values[...] = array
    tensor.copyFrom(host)


def _read(tensor: Any, name: str) -> np.ndarray:
    """Copy an output out of MNN's memory, in the logical layout."""
    import numpy as np

    shape = tuple(tensor.getShape())
    if 0 in shape:
        return np.zeros(shape, np.float32)
    host = _host(tensor)
    if host is None or not tensor.copyToHostTensor(host):
        raise SessionError(f"its output {name!r} cannot be read")
    return np.array(_values(host, f"output {name!r}"), copy=True)


def _host(tensor: Any) -> Any:
    """A tensor of the same shape and type in memory of its own; None if it has no elements."""
    import MNN

    if 0 in tensor.getShape():
        return None
    return MNN.Tensor(tensor, _NHWC if tensor.getDimensionType() == _NHWC else _NCHW)


def _values(host: Any, what: str) -> np.ndarray:
    """The memory of a host tensor as an array."""
    if host.getDataType() is None:
        raise UntriedError(f"its {what} has a type that MNN's Python package cannot reach")
    values: np.ndarray = host.getNumpyData()
    return values


def process_images(images: Sequence[np.ndarray], wanted: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
    """Prepare images with MNN's ImageProcess.

    Args:
        images: Pixels as uint8, (height, width, channels).
        wanted: For each image its `source` and `dest` format (`RGB`, `BGR`, `GRAY`), `filter` (`BILINEAL`, `NEAREST`),
            `mean` and `normal` of four numbers, `matrix` of nine, and `size` of the result.

    Returns:
        float32, (height, width, channels).

    Raises:
        SessionError: MNN does not do that.
    """
    import MNN
    import numpy as np

    found = []
    for pixels, each in zip(images, wanted, strict=True):
        config = {
            "filterType": getattr(MNN, f"CV_Filter_{each['filter']}"),
            "sourceFormat": getattr(MNN, f"CV_ImageFormat_{each['source']}"),
            "destFormat": getattr(MNN, f"CV_ImageFormat_{each['dest']}"),
            "wrap": MNN.CV_Wrap_CLAMP_TO_EDGE,
            "mean": tuple(map(float, each["mean"])),
            "normal": tuple(map(float, each["normal"])),
        }
        process, matrix = MNN.CVImageProcess(config), MNN.CVMatrix()
        matrix.write(tuple(map(float, each["matrix"])))
        process.setMatrix(matrix)
        shape = (1, *each["size"], 1 if each["dest"] == "GRAY" else 3)
        place = MNN.Tensor(
            shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), MNN.Tensor_DimensionType_Tensorflow
        )
        given = np.ascontiguousarray(pixels)  # by address: an array has to be as large as the result (3.6.1)
        code = process.convert(given.ctypes.data, given.shape[1], given.shape[0], 0, place)
        if code:
            raise SessionError(f"ImageProcess returns {code} ({_CODES.get(code, 'an error')})")
        found.append(np.array(place.getNumpyData(), np.float32)[0])
    return found
