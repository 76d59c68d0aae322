"""What a lock file keeps of one conversion."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnncompat.converting.pipeline import Conversion
from mnncompat.results.kept_record import OutputRecord, Record, RecordedConversion
from mnncompat.results.proof_strength import ProofVerdict

if TYPE_CHECKING:
    from mnncompat.graph.model_file import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded(Conversion):
    """A conversion whose plain result has what a lock file keeps."""

    record: Record

    def told(self) -> RecordedConversion:
        plain = Conversion.told(self)
        held = {each.name: getattr(plain, each.name) for each in fields(plain)}
        return RecordedConversion(**held, record=self.record)


def recorded(result: Conversion, record: Record) -> Conversion:
    """A conversion that tells what a lock file keeps of it."""
    return _Recorded(**{each.name: getattr(result, each.name) for each in fields(result)}, record=record)


_SAMPLES = 32
"""Elements of each output that are kept: enough to tell another function from a retrained one."""
_DIGITS = 5


def record_of(
    path: str,
    model: Model,
    result: Conversion,
    *,
    mnn: str,
    options: str,
    file: Path | None,
    expected: Mapping[str, np.ndarray],
) -> Record:
    """What to keep of a conversion.

    Args:
        path: How the lock file names the model.
        model: The model.
        result: Its conversion.
        mnn: The release of MNN.
        options: How it was converted.
        file: The converted file; None if there is none.
        expected: What the original gives for the first draw, by output; empty if nothing was compared.
    """
    parity = result.parity
    power = None if parity is None else parity.power
    ratio = None if result.latency is None else result.latency.ratio
    return Record(
        path=path,
        sha256=content_hash(model),
        mnn=mnn,
        options=options,
        converted=result.verdict == "converted",
        verdict=result.verdict.value if parity is None else parity.verdict.value,
        size=result.bytes,
        session=None if parity is None or parity.session is None else parity.session.passed,
        exercised=0 if power is None else len(power.exercised),
        tried=0 if power is None else power.tried,
        errors=tuple(sorted({each.code for each in result.remaining if each.severity.value == "error"})),
        nodes=() if file is None or not file.exists() else op_names(file),
        outputs=_outputs(result, expected),
        latency_ratio=None if ratio is None else _rounded(ratio),
    )


def content_hash(model: Model) -> str:
    """SHA-256 of a model's file, then of the files that hold its weights, in the order of their names."""
    digest = hashlib.sha256()
    files = [*([model.path] if model.path is not None else []), *(model.data[name] for name in sorted(model.data))]
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def is_good(verdict: str) -> bool:
    """Whether a comparison with this verdict proves that the file computes what the model computes."""
    return verdict in (ProofVerdict.EQUAL, ProofVerdict.WITHIN)


def op_names(file: Path) -> tuple[str, ...]:
    """Type and name of each op of a converted file.

    Raises:
        ModelError: It is no `.mnn` file.
    """
    from mnncompat.mnn.graph import read_graph

    return tuple(f"{op.type} {op.name}".strip() for op in read_graph(file).ops)


def _outputs(result: Conversion, expected: Mapping[str, np.ndarray]) -> dict[str, OutputRecord]:
    if result.parity is None:
        return {}
    found = {}
    for output in result.parity.outputs:
        top1 = [each.top1 for each in output.comparisons if each.top1 is not None]
        ratios = [each.snr_db for each in output.comparisons if each.compared]
        value = expected.get(output.name)
        found[output.name] = OutputRecord(
            dtype=output.comparisons[0].expected_dtype if output.comparisons else "",
            snr_db=_rounded(min(ratios, default=math.inf)),
            top1=_rounded(min(top1)) if top1 else None,
            sample=() if value is None else sample(value),
        )
    return found


def sample(value: np.ndarray) -> tuple[float, ...]:
    """Some elements of an array, evenly spread, to five significant digits; what is not finite counts as 0."""
    flat = np.asarray(value).reshape(-1)
    if not flat.size or flat.dtype.kind not in "fiub":
        return ()
    places = np.linspace(0, flat.size - 1, min(_SAMPLES, flat.size)).astype(int)
    chosen = np.nan_to_num(flat[places].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return tuple(_rounded(float(each)) for each in chosen)


def _rounded(value: float) -> float:
    return value if not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")
