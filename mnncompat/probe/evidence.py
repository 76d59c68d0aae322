r"""What the probe measured, as text: one line a case, so that a change of MNN shows as a difference of lines.

    # mnncompat evidence 1
    # mnn: 3.6.1
    # machine: x86_64
    ...
    Abs <tab> node:test_abs <tab> ok
    AveragePool <tab> node:test_averagepool_1d_default <tab> crash@run:SIGFPE
    Attention <tab> node:test_attention_3d <tab> refused@convert <tab> These Op Not Support: ONNX::Attention

On arm64 the precision is part of the name: `<mnn>-aarch64-low.tsv`, measured on an emulated Cortex-A76.

Fields are op, case, `Measurement.code` and detail, divided by tabs, sorted by case. The files of MNN's releases are
`rules/evidence/<mnn>-<machine>.tsv`, and `rules/evidence/rows/<mnn>-<machine>.tsv` for the micro-models of the table's
rows, which are measured again when a row is added, on whatever processor that is. There is no date in them: measuring
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from mnncompat.errors import TableError
from mnncompat.probe.measurement import Measurement
from mnncompat.support import rule_files

_MAGIC = "# mnncompat evidence 1"
_FIELDS = 4


def evidence_path(version: str, machine: str, *, precision: str = "", rows: bool = False) -> Path:
    """Where the evidence about a release of MNN is kept.

    Args:
        version: MNN's version.
        machine: The architecture: `x86_64`.
        precision: What MNN computed in; empty on x86-64, where it makes no difference.
        rows: True for that of the corpus `rows`.
    """
    of = "-".join(filter(None, (version, machine, precision)))
    folder = rule_files.root() / "evidence"
    return (folder / "rows" if rows else folder) / f"{of}.tsv"


@cache
def load_evidence(
    version: str, machine: str = "x86_64", *, precision: str = "", rows: bool = False
) -> Mapping[str, Measurement]:
    """What was measured about a release of MNN: case id -> measurement.

    Args:
        version: MNN's version.
        machine: The architecture: `x86_64`.
        precision: What MNN computed in; empty on x86-64.
        rows: True for the corpus `rows`, False for the others.

    Raises:
        TableError: There is none, or it is damaged.
    """
    return read_evidence(evidence_path(version, machine, precision=precision, rows=rows))[1]


def read_evidence(path: Path) -> tuple[dict[str, str], dict[str, Measurement]]:
    """Read a file of evidence.

    Returns:
        The header, and case id -> measurement, in the order of the file.

    Raises:
        TableError: It is missing, unreadable or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: {error}", hint="measure it with `mnncompat probe --out`") from error
    if lines[0] != _MAGIC:
        raise TableError(f"{path}: is not a file of evidence", hint="give a file that `mnncompat probe --out` wrote")
    header: dict[str, str] = {}
    found: dict[str, Measurement] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.startswith("# "):
            key, _, value = line.removeprefix("# ").partition(": ")
            header[key] = value
        elif line:
            each = _read(line, path, number)
            found[each.id] = each
    return header, found


def written(header: Mapping[str, str], measurements: Iterable[Measurement]) -> str:
    """The text of a file of evidence: the header as it is, the cases sorted."""
    lines = [_MAGIC, *(f"# {key}: {value}" for key, value in header.items())]
    lines += [line_of(each) for each in sorted(measurements, key=lambda each: each.id)]
    return "\n".join(lines) + "\n"


def line_of(each: Measurement) -> str:
    """One case."""
    return "\t".join((each.op, each.id, each.code, *([each.detail] if each.detail else [])))


def as_read(each: Measurement) -> Measurement:
    """A measurement as it is read from a file that it was written to: exactly the same whoever measured it."""
    return _read(line_of(each), Path(each.id), 1)


def _read(line: str, path: Path, number: int) -> Measurement:
    op, case, code, detail = (*line.split("\t"), "")[:_FIELDS] if line.count("\t") > 1 else ("",) * _FIELDS
    try:
        return Measurement.of_code(code, case=case, op=op, detail=detail)
    except ValueError as error:
        message = f"{path}, line {number}: {error}"
        raise TableError(message, hint="measure it again with `mnncompat probe --out`") from error
