"""`mnncompat fix`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnncompat.cli import options
from mnncompat.cli.console import begin_work, check_format, emit, note, report, use_color
from mnncompat.errors import UsageError

if TYPE_CHECKING:
    from mnncompat.fixing.transaction import FixedModel


def fix(  # noqa: PLR0913 - options
    models: options.Models,
    *,
    output: options.Out = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Overwrite the models.")] = False,
    show_diff: Annotated[
        bool,
        typer.Option(
            "--diff", help="Show removed, added and changed nodes. Without -o or --in-place nothing is written."
        ),
    ] = False,
    select: options.Select = None,
    ignore: options.Ignore = None,
    unsafe_fixes: options.Unsafe = False,
    mnn_version: Annotated[
        str | None,
        typer.Option(
            "--mnn", metavar="VERSION", help="MNN release to rewrite for, or `latest`. [default: the installed one]"
        ),
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            metavar="NAME",
            help="Architecture to rewrite for: x86_64, aarch64 or armv7. [default: all at once]",
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Prove under ONNX Runtime that the result is equal.")
    ] = True,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            metavar="NAME:DIMS",
            help="Fix a dynamic input to this shape, and fold what becomes constant: `image:1,3,224,224`. Unsafe by "
            "nature: the result takes no other shape. Repeatable.",
        ),
    ] = None,
    data: options.Inputs = None,
    seed: options.Seed = 0,
    output_format: options.Format = "text",
) -> None:
    """Rewrite what MNN cannot take or runs badly; the result is proven equal to the original before it is written.

    Exit status 1 if a rewrite had to be given up, or if --diff alone shows changes.
    """
    check_format(output_format)
    _require_one_way(models, output, in_place=in_place, show_diff=show_diff)
    from mnncompat.checking.rule_catalog import is_rule
    from mnncompat.fixing.transaction import choose_rewrites, fix_model
    from mnncompat.graph.model_file import load
    from mnncompat.support.target import Target

    chosen = options.split_rules(select), options.split_rules(ignore)
    rewrites = choose_rewrites(select=chosen[0], ignore=chosen[1], unsafe=unsafe_fixes, is_rule=is_rule)
    inputs = options.parse_inputs(data)
    wanted = Target(mnn_version, arch=arch)
    begin_work()
    results: list[FixedModel] = []
    for path in models:
        target = path if in_place else output
        _require_target(path, target, in_place=in_place)
        model = load(path)
        shapes = options.parse_shapes(shape, model)
        result = fix_model(
            model, rewrites=rewrites, target=wanted, freeze=shapes, prove=verify, inputs=inputs, seed=seed
        )
        if target is not None:
            _write(result, path, target)
        results.append(result)
    if show_diff and output_format == "text":
        from mnncompat.report import diff_text

        for result in results:
            emit(diff_text(result.changes, color=use_color()))
    report(results, output_format)
    unwritten = output is None and not in_place and any(result.changed for result in results)
    if unwritten or any(not result.proven for result in results):
        raise typer.Exit(1)


def _require_one_way(models: list[Path], output: Path | None, *, in_place: bool, show_diff: bool) -> None:
    if output is not None and in_place:
        raise UsageError("-o and --in-place exclude each other", hint="choose one")
    if output is not None and len(models) > 1:
        raise UsageError("-o takes the result of one model", hint="fix them one by one, or use --in-place")
    if output is None and not in_place and not show_diff:
        raise UsageError("nothing to do with the result", hint="add -o OUT, --in-place or --diff")


def _require_target(path: Path, target: Path | None, *, in_place: bool) -> None:
    from mnncompat.graph.atomic_files import require_different, require_writable

    if target is not None and path.is_file():
        require_writable(target)
        if not in_place:
            require_different(path, target)


def _write(result: FixedModel, source: Path, target: Path) -> None:
    """Write the result; an unchanged model in place is not touched, elsewhere it is copied as it is."""
    from mnncompat.graph.atomic_files import write_atomically
    from mnncompat.graph.model_file import save

    if result.changed or (source != target and result.model.external):
        save(result.model, target)
        note(f"wrote {target}")
    elif source != target:
        write_atomically(target, source.read_bytes())
        note(f"wrote {target} (unchanged)")
