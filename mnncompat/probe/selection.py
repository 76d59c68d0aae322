"""Which cases: by corpus, by op type, by the code of a row, or one by its id."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mnncompat.errors import UsageError
from mnncompat.probe.corpora import CORPORA
from mnncompat.probe.row_cases import MEASURED_FIRST, PREFIX, RowCase, row_cases
from mnncompat.support.deployment import LOW, PRECISIONS

if TYPE_CHECKING:
    from mnncompat.devices.device import Where
    from mnncompat.probe.case import Case

GENERATED = "generated"
ROWS = "rows"
CORPUS_NAMES = (*CORPORA, GENERATED, ROWS)
"""Every corpus, in the order in which all of them are measured."""
_GENERATED_PREFIX = "gen"
_ID_PARTS = 4


def precision_of_rows(where: Where | None) -> str:
    """The precision whose own rows are measured there as well: float16 where float16 is computed."""
    return LOW if where is not None and where.precision == LOW else ""


def arch_of_rows(where: Where | None) -> str:
    """The architecture whose own micro-models are measured there; empty if only the device knows it."""
    if where is not None:
        return where.device.arch or ""
    import platform

    return platform.machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Cases to measure.

    Attributes:
        corpora: Of `CORPUS_NAMES`.
        ops: Op types under test; empty for all.
        codes: Of rows: the micro-models of these alone; empty for all. For the corpus `ROWS`.
        seed: Of the generated corpus.
        count: Size of the generated corpus; None for its own.
        precision: Of rows: the micro-models of those about that precision too; empty for those alone that hold for all.
        arch: Of rows: micro-models that are measured on other architectures only are left out.
    """

    corpora: tuple[str, ...]
    ops: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    seed: int = 0
    count: int | None = None
    precision: str = ""
    arch: str = MEASURED_FIRST

    def __post_init__(self) -> None:
        for name in self.corpora:
            if name not in CORPUS_NAMES:
                raise UsageError(f"there is no corpus {name!r}", hint=f"there are: {', '.join(CORPUS_NAMES)}")
        if self.ops:
            import onnx

            unknown = sorted(self.ops - {schema.name for schema in onnx.defs.get_all_schemas_with_history()})
            if unknown:
                raise UsageError(f"ONNX has no operator {unknown[0]!r}", hint="`mnncompat ops` lists them")
        if self.codes:
            if set(self.corpora) != {ROWS}:
                raise UsageError("a code selects micro-models of rows", hint=f"measure the corpus {ROWS!r} alone")
            unknown = sorted(self.codes - {each.code for each in self._row_cases()})
            if unknown:
                elsewhere = unknown[0] in {each.code for each in row_cases(precision=LOW)}
                hint = "add one to rules/cases/; `mnncompat rule CODE` explains a row"
                hint = "it is about half precision: add --device arm64 --precision low" if elsewhere else hint
                raise UsageError(f"there is no micro-model of a row {unknown[0]!r}", hint=hint)

    def cases(self, *, without: Collection[str] = ()) -> Iterator[Case]:
        """The cases, corpus by corpus, in a fixed order.

        Args:
            without: Ids to leave out.
        """
        cases = chain.from_iterable(self._corpus(name) for name in dict.fromkeys(self.corpora))
        return (each for each in cases if each.id not in without)

    def size(self) -> int | None:
        """The number of cases; None where it is known only after generating them."""
        if GENERATED in self.corpora:
            return None
        return sum(1 for _ in self.cases())

    def _corpus(self, name: str) -> Iterator[Case]:
        if name == GENERATED:
            from mnncompat.probe.generated import generated_cases

            return generated_cases(self.seed, ops=self.ops or None, count=self.count)
        if name == ROWS:
            return (each.case() for each in self._row_cases() if self._is_selected(each))
        return (each for each in CORPORA[name]() if not self.ops or each.op in self.ops)

    def _row_cases(self) -> Iterator[RowCase]:
        for each in dict.fromkeys(("", self.precision)):
            yield from row_cases(precision=each, arch=self.arch)

    def _is_selected(self, each: RowCase) -> bool:
        return (not self.ops or each.op in self.ops) and (not self.codes or each.code in self.codes)


def find(identity: str) -> Case:
    """The case of an id.

    Raises:
        UsageError: There is none.
    """
    corpus = identity.partition(":")[0]
    cases = CORPORA[corpus]() if corpus in CORPORA else _generated(identity)
    if corpus == PREFIX:
        of_rows = chain.from_iterable(row_cases(precision=each, arch=None) for each in ("", *PRECISIONS))
        cases = (each.case() for each in of_rows if each.id == identity)
    found = next((each for each in cases if each.id == identity), None)
    if found is None:
        hint = (
            f"ids begin with one of {', '.join((*CORPORA, _GENERATED_PREFIX, PREFIX))} and a colon, as in node:test_abs"
        )
        raise UsageError(f"there is no case {identity!r}", hint=hint)
    return found


def _generated(identity: str) -> Iterator[Case]:
    """The generated case of an id, if there is one."""
    parts = identity.split(":")
    if len(parts) != _ID_PARTS or parts[0] != _GENERATED_PREFIX or not (parts[1].isdigit() and parts[3].isdigit()):
        return
    from mnncompat.probe.generated import generated_case

    case = generated_case(int(parts[1]), parts[2], int(parts[3]))
    if case is not None:
        yield case
