"""The micro-models of the table's rows, as cases: for each row one that it flags, and the nearest that it does not.

`rules/cases/<Op>.toml` holds those of `rules/ops/<Op>.toml`, `rules/cases/graph.toml` those of `rules/graph.toml`:

    [[case]]
    code = "MNN233"            # the row that flags the model; `unlike` for the row that it is the look-alike of,
                               # `status = "supported"` for a form that no other case of the operator shows to be right
    name = "ties, the last of them wanted"
    mnn = "==3.0.0"            # of a look-alike: releases in which it is one; all that the row holds for, if left out
    deviates = { "<3.4" = "crash" } # of others: releases in which the outcome is not the row's status, and that outcome
    storage = { w = "sparse" } # how a constant is stored: `raw` when left out, `typed` (int32_data, ...) or `sparse`
    feeds = { x = [0.5, 0.5] } # values of graph inputs, sizes of symbolic dimensions; if absent: sampled, 2
    earlier = { N = 1 }        # the same for a run before, in one session
    expected = { y = [1] }     # the right answer, where ONNX Runtime's is not
    unstable = "..."           # why no two measurements need to agree
    precision = "low"          # of a row that is about that precision: measured on a device in it, and nowhere else
    arch = "aarch64"           # of a model whose outcome differs between processors: measured on that one alone
    model = '''...'''          # ONNX text
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnncompat.errors import TableError
from mnncompat.probe.case import Case, is_representable
from mnncompat.support import rule_files

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, TensorProto, ValueInfoProto

GRAPH = "graph"
"""The op type of rows about a model as a whole."""
PREFIX = "row"
MEASURED_FIRST = "x86_64"
"""The architecture of which there is evidence of every release."""
_HINT = "mnncompat/probe/row_cases.py shows an entry"
_SUPPORTED = "supported"
_KEYS = frozenset(
    (
        "code",
        "unlike",
        "status",
        "name",
        "mnn",
        "deviates",
        "storage",
        "feeds",
        "earlier",
        "expected",
        "unstable",
        "precision",
        "arch",
        "model",
    )
)
_SEED, _LOW, _HIGH, _FREE_DIMENSION = 7, -5, 6, 2
_RTOL, _ATOL = 1e-3, 1e-4
# Their results have no single right value: only type and shape are compared.
_RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCase:
    """One entry of `rules/cases/`.

    Attributes:
        op: Op type of the row, or `GRAPH`.
        code: Code of the row; empty for one that calls the operator supported.
        is_alike: True for a look-alike: the row must not flag it.
        name: What the model is, unique among those of the row's code and op type.
        mnn: Releases in which it is a look-alike, a PEP 440 specifier; empty for all that the row holds for.
        deviates: Releases -> the outcome, where that is not what the row's status says.
        text: The model as ONNX text.
        storage: Constant -> how it is stored: `raw` when left out, as exporters do, `typed` or `sparse`.
        feeds: Graph input -> values, symbolic dimension -> size; absent values are sampled, absent sizes are 2.
        earlier: The same for a run before in the same session; None where there is none.
        expected: Graph output -> the right values, where ONNX Runtime's are not.
        unstable: Why two measurements need not agree; empty where they must.
        precision: The precision that the row is about; empty for all.
        arch: The architecture that it is measured on; empty for all.
    """

    op: str
    code: str
    is_alike: bool
    name: str
    text: str
    mnn: str = ""
    deviates: Mapping[str, str] = field(default_factory=dict)
    storage: Mapping[str, str] = field(default_factory=dict)
    feeds: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] = field(default_factory=dict)
    unstable: str = ""
    precision: str = ""
    arch: str = ""

    @property
    def id(self) -> str:
        """The case's: `row:Add/MNN130/Gemm->Add [M,1] runtime w`, `row:Add/not-MNN130/...`."""
        return f"{PREFIX}:{self.op}/{'not-' * self.is_alike}{self.code or _SUPPORTED}/{self.name}"

    def model(self) -> ModelProto:
        """The model.

        Raises:
            TableError: The text is no model, or `storage` names no constant of it.
        """
        import onnx

        try:
            model = onnx.parser.parse_model(self.text)
        except onnx.parser.ParseError as error:
            raise TableError(f"{self.id}: {error}", hint=_HINT) from error
        _store(model, self.storage, self.id)
        return model

    def case(self) -> Case:
        """The model, its inputs, and its right outputs: those of ONNX Runtime or else of the reference evaluator.

        Raises:
            TableError: The entry is damaged, or neither of them computes the outputs.
        """
        model = self.model()
        given = {each.name for each in model.graph.initializer}
        given |= {each.values.name for each in model.graph.sparse_initializer}
        inputs = [value for value in model.graph.input if value.name not in given]
        is_held = all(_is_held(value) for value in (*inputs, *model.graph.output))
        feeds = _fed(inputs, self.feeds) if is_held else {}
        expected = self._expected(model, feeds) if is_held else None
        is_random = any(node.op_type in _RANDOM for node in model.graph.node) and not self.expected
        return Case(
            id=self.id,
            op=self.op,
            model=model.SerializeToString(deterministic=True),
            feeds=feeds,
            expected=expected,
            rtol=_RTOL,
            atol=math.inf if is_random else _ATOL,
            earlier=() if self.earlier is None else (_fed(inputs, self.earlier),),
        )

    def _expected(self, model: ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        from mnncompat.parity.runners import OnnxRunner
        from mnncompat.results.failures import Failure

        stated = {value.name: value for value in model.graph.output if value.name in self.expected}
        found: dict[str, np.ndarray] = {}
        if len(stated) < len(model.graph.output):
            computed = OnnxRunner(model).run([feeds])
            if isinstance(computed, Failure):
                raise TableError(f"{self.id}: state what must come out as `expected`: {computed.message}", hint=_HINT)
            found = computed[0]
        for name, value in stated.items():
            found[name] = _array(self.expected[name], value)
        return {value.name: found[value.name] for value in model.graph.output}


def row_cases(root: Path | None = None, *, precision: str = "", arch: str | None = MEASURED_FIRST) -> Iterator[RowCase]:
    """The entries of a rules folder, file by file.

    Args:
        root: The folder; the one that ships with mnncompat by default.
        precision: Those of rows about that precision; empty for those that hold for all.
        arch: The architecture: those about others only are left out; None for all.

    Raises:
        TableError: A file is damaged, or two entries have the same id.
    """
    known: set[str] = set()
    for path in sorted(((root or rule_files.root()) / "cases").glob("*.toml")):
        entries = rule_files.read_toml(path).get("case")
        if not isinstance(entries, list):
            raise TableError(f"{path}: must hold [[case]] tables", hint=_HINT)
        for entry in entries:
            found = _read(entry, path)
            if found.id in known:
                raise TableError(f"{path}: there are two {found.id!r}", hint="give each another name")
            known.add(found.id)
            if found.precision == precision and (arch is None or found.arch in ("", arch)):
                yield found


def _read(entry: Mapping[str, Any], path: Path) -> RowCase:
    name = entry.get("name", "")
    kinds = [key for key in ("code", "unlike", "status") if key in entry]
    is_known = len(kinds) == 1 and entry.get("status", _SUPPORTED) == _SUPPORTED
    if not name or not is_known or "model" not in entry or not set(entry) <= _KEYS:
        message = f"{path}: {name or 'an entry'} must have a name, a model, and one of code, unlike, status = supported"
        strange = sorted(set(entry) - _KEYS)
        raise TableError(f"{message}; unknown: {', '.join(strange)}" if strange else message, hint=_HINT)
    return RowCase(
        op=path.stem,
        code="" if kinds == ["status"] else entry[kinds[0]],
        is_alike=kinds == ["unlike"],
        text=entry["model"],
        **{key: value for key, value in entry.items() if key not in (*kinds, "model")},
    )


def _is_held(value: ValueInfoProto) -> bool:
    """Whether MNN can hold a graph input or output as a tensor."""
    import numpy as np

    if value.type.WhichOneof("value") != "tensor_type" or not value.type.tensor_type.elem_type:
        return False
    return is_representable(np.zeros(1, _dtype(value)))


def _dtype(value: ValueInfoProto) -> np.dtype[Any]:
    import onnx

    return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)


def _fed(inputs: Sequence[ValueInfoProto], stated: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import numpy as np

    random = np.random.default_rng(_SEED)
    drawn = {each.name: _drawn(each, stated, random) for each in inputs}
    return {each.name: _array(stated[each.name], each) if each.name in stated else drawn[each.name] for each in inputs}


def _drawn(value: ValueInfoProto, stated: Mapping[str, Any], random: np.random.Generator) -> np.ndarray:
    """Values of a graph input: of a normal distribution, whole numbers around zero, either truth value."""
    import numpy as np

    dims = value.type.tensor_type.shape.dim
    shape = [d.dim_value if d.HasField("dim_value") else stated.get(d.dim_param, _FREE_DIMENSION) for d in dims]
    dtype = _dtype(value)
    if dtype.kind == "b":
        return np.asarray(random.random(shape) > 0.5)  # noqa: PLR2004 - one half of them
    if dtype.kind in "iu":
        return np.asarray(random.integers(0 if dtype.kind == "u" else _LOW, _HIGH, shape)).astype(dtype)
    return np.asarray(random.standard_normal(shape)).astype(dtype)


def _array(values: object, value: ValueInfoProto) -> np.ndarray:
    """Stated values: flat where the declared shape is static, nested where it is not."""
    import numpy as np

    array = np.asarray(values, _dtype(value))
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]
    shape = [dim for dim in dims if dim is not None]
    return array.reshape(shape) if len(shape) == len(dims) and math.prod(shape) == array.size else array


def _store(model: ModelProto, storage: Mapping[str, str], where: str) -> None:
    """Store the constants, initializers and values of Constant, as they are wanted; ONNX text gives them typed."""
    graph = model.graph
    nodes = [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].HasField("t")]
    known = {each.name for each in graph.initializer} | {node.output[0] for node in nodes}
    strange = {name for name, kind in storage.items() if name not in known or kind not in ("typed", "sparse")}
    if strange:
        raise TableError(f"{where}: storage of {', '.join(sorted(strange))}", hint="typed or sparse, of a constant")
    for tensor in list(graph.initializer):
        if storage.get(tensor.name) == "sparse":
            graph.sparse_initializer.append(_sparse(tensor))
            graph.initializer.remove(tensor)
        elif tensor.name not in storage:
            _store_raw(tensor)
    for node in nodes:
        kept = node.attribute[0]
        if storage.get(node.output[0]) == "sparse":
            kept.name, kept.type = "sparse_value", kept.SPARSE_TENSOR
            kept.sparse_tensor.CopyFrom(_sparse(kept.t))
            kept.ClearField("t")
        elif node.output[0] not in storage:
            _store_raw(kept.t)


def _store_raw(tensor: TensorProto) -> None:
    from onnx import numpy_helper

    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))


def _sparse(tensor: TensorProto) -> Any:
    import numpy as np
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(tensor)
    places = np.flatnonzero(values)
    held = numpy_helper.from_array(values.reshape(-1)[places], tensor.name)
    return helper.make_sparse_tensor(held, numpy_helper.from_array(places), list(values.shape))
