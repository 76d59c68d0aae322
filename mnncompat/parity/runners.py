"""Run a model on arrays: one protocol, and the runners of ONNX models.

A model that a runner cannot run is a finding, so `run` returns a typed failure instead of raising.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx
from google.protobuf.message import EncodeError

from mnncompat.errors import RunnerError
from mnncompat.graph.external_data import follow_links
from mnncompat.graph.ordering import sort_nodes
from mnncompat.parity.bfloat16 import has_bfloat16_interface, in_float32
from mnncompat.parity.exact_products import PRODUCTS, with_exact_products
from mnncompat.parity.full_accuracy import FEW_BITS, with_full_accuracy
from mnncompat.parity.mapped_weights import filled, is_held, mapped, without_weights
from mnncompat.parity.memory import give_back
from mnncompat.parity.missing_kernels import says_missing_kernel, with_definitions
from mnncompat.parity.model_copies import mentions
from mnncompat.parity.runtime_failures import no_numbers, runtime_refusal
from mnncompat.parity.speed import Timings
from mnncompat.parity.stated_noise import RANDOM, with_stated_noise
from mnncompat.parity.unmapped_scores import with_scores_for_maps
from mnncompat.results.failures import Failure, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
_SILENT = 4  # ONNX Runtime's severity "fatal"
_MOST_EVALUATED = 500
_UNSORTED = "must be topologically sorted"
_NO_PREPACKING = "session.disable_prepacking"
_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


class Runner(Protocol):
    """Computes a model's outputs."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds.

        Args:
            feeds: Input name -> array, in the dtypes that the ONNX model declares.

        Returns:
            For each of the feeds: output name -> array; or how it failed.
        """


class OnnxRuntimeRunner:
    """The reference: ONNX Runtime on the CPU, one thread, silent, deterministic.

    It may neither fuse nor fold, so that it computes what the graph says. Products of uint8 and int8, which saturate on
    some CPUs, are written as `mnncompat.parity.exact_products` does; random nodes of spread 0, which end the process,
    as `mnncompat.parity.stated_noise` does; operators of its own domain that its CPU has no kernel for, as
    `mnncompat.parity.missing_kernels` does; products that it may round, as `mnncompat.parity.full_accuracy` does;
    numbers of bfloat16 in float32, as `mnncompat.parity.bfloat16` does.

    Since 1.32 (Linux wheel) importing onnxruntime leaves a device identifier and a database of events in
    `~/.cache/Microsoft` and can send them; `disable_telemetry_events()` comes too late, so `ORT_DISABLE_TELEMETRY` is
    set in the environment before the import, unless the user set it.

    Args:
        model: A file, or a model in memory. A file's external data is found beside it.
        name: What reports call it.
        folder: Where the external data of a model in memory lies.
        known: The same as it was read already, if `model` is a file: it is then not searched for operators that need
            another form.
        frees: Whether memory goes back to the system as soon as a tensor is over. That is slower; otherwise what the
            largest run took, rounded up to a power of two, stays with the session.
        in_order: Whether nodes are computed in the order in which they are written, not all branches side by side: a
            value that the next node alone reads is over at once.
    """

    __slots__ = ("_folder", "_frees", "_in_order", "_known", "_model", "_session", "name", "timings")

    def __init__(
        self,
        model: Path | str | bytes | onnx.ModelProto,
        *,
        name: str = "onnxruntime",
        folder: Path | None = None,
        known: onnx.ModelProto | None = None,
        frees: bool = False,
        in_order: bool = False,
    ) -> None:
        self.name = name
        self._in_order = in_order
        self._known = known
        self._model = model
        self._folder = folder
        self._frees = frees
        self._session: Any = None
        self.timings = Timings()

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds.

        Args:
            feeds: Input name -> array, in the declared dtypes.

        Returns:
            For each of the feeds: output name -> array; or a failure with ONNX Runtime's own words.

        Raises:
            RunnerError: onnxruntime is not installed, or the model in memory is too large to be handed over.
        """
        stage = Stage.LOAD
        try:
            session = self._loaded()
            stage = Stage.RUN
            names = [each.name for each in session.get_outputs()]
            found = [_own(dict(zip(names, self._timed(session, names, feed), strict=True))) for feed in feeds]
        except RunnerError:
            raise
        except Exception as error:  # noqa: BLE001 - its exceptions share no base but Exception
            return runtime_refusal(stage, str(error) or type(error).__name__)
        strange = next((name for each in found for name, value in each.items() if not _is_tensor(value)), None)
        return found if strange is None else no_numbers(strange)

    def _timed(self, session: Any, names: list[str], feed: Mapping[str, np.ndarray]) -> Any:
        with self.timings.of(feed):
            return session.run(names, dict(feed))

    def load(self) -> None:
        """Load the model before it is run; a failure shows when it is run."""
        with contextlib.suppress(Exception):
            self._loaded()

    def release(self) -> None:
        """Free the memory; it loads the model again when it is run again."""
        if self._session is not None:
            self._session = None
            give_back()

    def _loaded(self) -> Any:
        if self._session is None:
            self._session = self._load()
        return self._session

    def _load(self) -> Any:
        os.environ.setdefault(_NO_TELEMETRY, "1")  # read when the library is loaded
        try:
            import onnxruntime
        except ImportError as error:
            raise RunnerError(
                f"ONNX Runtime cannot be imported: {error}", hint="install it with: pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        options.enable_cpu_mem_arena = not self._frees
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if self._in_order:
            options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
        model, folder = self._runnable()
        if isinstance(model, onnx.ModelProto) and is_held(model):
            options.add_session_config_entry(_NO_PREPACKING, "1")  # it would copy the weights
            model, folder = mapped(model, folder)
        start = partial(onnxruntime.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"])
        if folder is not None:
            options.add_session_config_entry(_EXTERNAL_FOLDER, str(folder))
        try:
            return start(_source(model))
        except Exception as error:  # its exceptions share no base but Exception
            copy = _loadable(model, str(error))
            if copy is None:
                raise
        if isinstance(model, (str, Path)):
            options.add_session_config_entry(_EXTERNAL_FOLDER, str(follow_links(copy, Path(model))))
        return start(_source(copy))

    def _runnable(self) -> tuple[Path | str | bytes | onnx.ModelProto, Path | None]:
        """What computes what the graph says, a large model without its weights; and the folder of its external data."""
        model = without_weights(self._model) or self._model
        made = [with_scores_for_maps]  # of the file alone: in what was read already they are dropped
        if self._known is None or mentions(self._known, (*RANDOM, *FEW_BITS, *PRODUCTS)):
            made += [with_stated_noise, with_full_accuracy, with_exact_products]
        for each in made:
            copy = each(model)
            model = model if copy is None else copy
        known = model if isinstance(model, onnx.ModelProto) else self._known
        if known is not None and has_bfloat16_interface(known):
            model = in_float32(model) or model
        if isinstance(model, onnx.ModelProto) and isinstance(self._model, (str, Path)):
            return model, follow_links(model, Path(self._model))
        return model, self._folder


class OnnxRunner:
    """ONNX Runtime, or ONNX's own reference evaluator where ONNX Runtime does not load the model.

    ONNX Runtime does not load operators and opsets that are newer than itself, nor some types of old ones.

    Args:
        model: A file, or a model in memory. A file's external data is found beside it.
        name: What reports call it.
        folder: Where the external data of a model in memory lies.
        known: The same as it was read already, see `OnnxRuntimeRunner`.
        in_order: See `OnnxRuntimeRunner`.
    """

    __slots__ = ("_fast", "_folder", "_is_refused", "_model", "_slow", "name", "timings")

    def __init__(
        self,
        model: Path | str | bytes | onnx.ModelProto,
        *,
        name: str = "onnxruntime",
        folder: Path | None = None,
        known: onnx.ModelProto | None = None,
        in_order: bool = False,
    ) -> None:
        self.name = name
        self._model = model
        self._folder = folder
        self._fast = OnnxRuntimeRunner(model, name=name, folder=folder, known=known, in_order=in_order)
        self.timings = self._fast.timings
        self._slow: Any = None
        self._is_refused = False

    def run(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | Failure:
        """Run the model on each of the feeds.

        Args:
            feeds: Input name -> array, in the declared dtypes.

        Returns:
            For each of the feeds: output name -> array; or ONNX Runtime's failure.

        Raises:
            RunnerError: onnxruntime is not installed, or the model in memory is too large to be handed over.
        """
        evaluated = self.evaluate(feeds) if self._is_refused else None
        if evaluated is not None:
            return evaluated
        found = self._fast.run(feeds)
        if not isinstance(found, Failure) or found.stage is not Stage.LOAD:
            return found
        evaluated = self.evaluate(feeds)
        self._is_refused = evaluated is not None
        return found if evaluated is None else evaluated

    def load(self) -> None:
        """Load the model before it is run; a failure shows when it is run."""
        self._fast.load()

    def release(self) -> None:
        """Free the memory; it loads the model again when it is run again."""
        self._fast.release()
        self._slow = None

    def evaluate(self, feeds: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]] | None:
        """Run the model with the reference evaluator, which is numpy and slow.

        Args:
            feeds: Input name -> array, in the declared dtypes.

        Returns:
            For each of the feeds: output name -> array; None if the evaluator fails too, or the model is large.
        """
        from onnx.reference import ReferenceEvaluator

        try:
            if self._slow is None:
                proto = self._proto()
                if len(proto.graph.node) > _MOST_EVALUATED:
                    return None
                self._slow = ReferenceEvaluator(proto)
            names = list(self._slow.output_names)
            with np.errstate(all="ignore"):
                found = [dict(zip(names, self._slow.run(None, dict(feed)), strict=True)) for feed in feeds]
        except Exception:  # noqa: BLE001 - operators are numpy code, and may raise anything
            return None
        if any(isinstance(value, list | tuple | dict) for each in found for value in each.values()):
            return None  # a sequence or a map
        arrays = [{name: np.asarray(value) for name, value in each.items()} for each in found]
        return arrays if all(_is_tensor(value) for each in arrays for value in each.values()) else None

    def _proto(self) -> onnx.ModelProto:
        if isinstance(self._model, bytes):
            return onnx.load_from_string(self._model)
        if not isinstance(self._model, onnx.ModelProto):
            return onnx.load(self._model)
        if self._folder is None:
            return filled(self._model)
        copy = onnx.ModelProto()
        copy.CopyFrom(self._model)
        onnx.load_external_data_for_model(copy, str(self._folder))
        return copy


def _loadable(model: Path | str | bytes | onnx.ModelProto, refusal: str) -> onnx.ModelProto | None:
    """A copy of a model that ONNX Runtime may load, after it refused the model; None if there is none."""
    if says_missing_kernel(refusal):
        return with_definitions(model) or in_float32(model)
    return _with_sorted_nodes(model) if _UNSORTED in refusal else None


def _with_sorted_nodes(model: Path | str | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a model with its nodes sorted; ONNX Runtime sorts those of the main graph itself."""
    copy = onnx.ModelProto()
    if isinstance(model, onnx.ModelProto):
        copy.CopyFrom(model)
    else:
        copy.ParseFromString(model if isinstance(model, bytes) else Path(model).read_bytes())
    sort_nodes(copy, "model")
    return copy


def _source(model: Path | str | bytes | onnx.ModelProto) -> str | bytes:
    """What ONNX Runtime loads a model from.

    Raises:
        RunnerError: It is in memory and too large.
    """
    if isinstance(model, onnx.ModelProto):
        try:
            return model.SerializeToString()
        except (EncodeError, ValueError) as error:
            raise RunnerError(
                "a model of more than 2 GB in memory cannot be handed to ONNX Runtime",
                hint="save it with external data and give the file",
            ) from error
    return model if isinstance(model, bytes) else str(model)


def _own(outputs: dict[str, Any]) -> dict[str, Any]:
    """Copies of the arrays: ONNX Runtime's own keep all memory of the session, as long as one of them lives."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in outputs.items()}


def _is_tensor(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
