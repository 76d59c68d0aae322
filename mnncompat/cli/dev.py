"""`mnncompat dev`: skeletons of rows and rewrites for maintainers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mnncompat.cli import skeletons
from mnncompat.cli.bounded import bounded
from mnncompat.cli.console import emit
from mnncompat.errors import UsageError

dev = typer.Typer(
    help="Start a row of the table or a rewrite. In a checkout of mnncompat only.",
)


@dev.command("next-code")
@bounded
def next_code(
    kind: Annotated[str, typer.Argument(metavar="[row|rewrite]", help="What the code is for.")] = "row",
    *,
    op: Annotated[str, typer.Option("--op", metavar="OP", help="The operator that a row is about.")] = "",
) -> None:
    """Print the next free code; codes that ever meant something are not given again."""
    skeletons.checkout()
    if kind not in ("row", "rewrite"):
        raise UsageError(f"there is no code for '{kind}'", hint="there are: row, rewrite")
    emit(skeletons.next_row_code(op) if kind == "row" else skeletons.next_rewrite_code())


@dev.command("compile-rules")
@bounded
def compile_rules() -> None:
    """Write rules/compiled.jsonl: the rows as `check` reads them, ten times as fast as from TOML."""
    from mnncompat.support import compiled_rules, rule_files

    file = skeletons.checkout() / "rules" / compiled_rules.FILE
    file.write_bytes(compiled_rules.compile_rules(rule_files.root()))
    emit(f"wrote {file}")


@dev.command("new-row")
@bounded
def new_row(
    op: Annotated[str, typer.Argument(metavar="OP", help="The operator, as ONNX spells it.", show_default=False)],
) -> None:
    """Append a row to rules/ops/OP.toml, and say what it still needs."""
    file, code = skeletons.write_row(op)
    emit(
        f"""{file}: row {code}
What is still missing:
- every TODO in the row; `when` says in which case it holds: docs/row-language.md lists the words
- a micro-model that the row flags (code = "{code}") and the look-alike nearest to it that it must not flag
  (unlike = "{code}"), in rules/cases/{op}.toml; docstring of mnncompat/probe/row_cases.py
- a measurement of both: mnncompat probe --corpus rows --code {code}
  and its record, of each release: python tests/evidence/measure.py --rows
- evidence: what was measured, the line of MNN's source if you can find it, and cases that show it:
  mnncompat probe --op {op} --corpus node --corpus node-const
- the tests of the table:
  python -m pytest tests/test_rules_data.py tests/rules/test_row_claims.py tests/test_rules_evidence.py"""
    )


@dev.command("new-case")
@bounded
def new_case(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `diagnose --repro` wrote.", show_default=False)],
    *,
    code: Annotated[str, typer.Option("--code", metavar="CODE", help="Code of the row.", show_default=False)],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the case.", show_default=False)],
) -> None:
    """Append the model of a repro to rules/cases, as a micro-model that a row flags."""
    from mnncompat.cli.repro_cases import write_case

    file, case = write_case(folder, code, name)
    emit(
        f"""{file}: {case}
What is still missing:
- a measurement: mnncompat probe "{case}"
  and its record, of each release: python tests/evidence/measure.py --rows"""
    )


@dev.command("new-rewrite")
@bounded
def new_rewrite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="In lower case, with hyphens.", show_default=False)],
    *,
    family: Annotated[
        str, typer.Option("--family", metavar="FAMILY", help="A folder of mnncompat/rewrites.", show_default=False)
    ],
    op: Annotated[str, typer.Option("--op", metavar="OP", help="The operator that it replaces.")] = "Relu",
) -> None:
    """Write mnncompat/rewrites/FAMILY/NAME.py, and say what it still needs."""
    file, code = skeletons.write_rewrite(name, family, op)
    emit(
        f"""{file}: rewrite {code}
What is still missing:
- every TODO in the file: the docstring is what `mnncompat rule {name}` shows
- a row that names it, remedy = "{name}": mnncompat dev new-row {op}, or a `find` of its own
- examples that are rewritten, and for each precondition one that is refused:
  python -m pytest tests/rewrites/test_examples.py -k {name}
- its order, if another rewrite may match the same node (`before`), and how `check` finds its nodes:
  python -m pytest tests/rewrites/test_order.py tests/rewrites/test_index.py
- a measurement before and after: mnncompat probe --fix --op {op} --corpus node --corpus node-const"""
    )
