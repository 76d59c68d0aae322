"""Arguments and options of commands, stated without typer: importing it takes longer than checking a small model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_args, get_origin


class Parameter(NamedTuple):
    """What `typer.Option` or `typer.Argument` is called with.

    Attributes:
        is_option: It is an option, not an argument.
        names: Of an option, such as ``-o`` and ``--output``, or ``--power/--no-power``.
        details: Keywords: metavar, help, min, max, show_default.
    """

    is_option: bool
    names: tuple[str, ...]
    details: dict[str, Any]


def option(*names: str, **details: Any) -> Parameter:
    """State an option, as `typer.Option` does."""
    return Parameter(is_option=True, names=names, details=details)


def argument(**details: Any) -> Parameter:
    """State an argument, as `typer.Argument` does."""
    return Parameter(is_option=False, names=(), details=details)


class Declared(NamedTuple):
    """One parameter of a command.

    Attributes:
        name: Of the function's parameter.
        kind: Its type, without None.
        is_list: It may be given several times; `kind` is then the type of one.
        stated: What was declared.
    """

    name: str
    kind: Any
    is_list: bool
    stated: Parameter


def declarations(command: Callable[..., Any]) -> list[Declared]:
    """The parameters of a command, in order."""
    space = vars(sys.modules[command.__module__])
    return [
        _declared(name, eval(text, space) if isinstance(text, str) else text)  # noqa: S307 - this package's annotations
        for name, text in command.__annotations__.items()
        if name != "return"
    ]


def _declared(name: str, annotation: Any) -> Declared:
    kind, stated = get_args(annotation)
    kind = next((each for each in get_args(kind) if each is not type(None)), kind) if _is_optional(kind) else kind
    is_list = get_origin(kind) is list
    return Declared(name, get_args(kind)[0] if is_list else kind, is_list, stated)


def _is_optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def for_typer(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the annotations that typer reads."""
    import functools
    import inspect

    import typer

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        command(*arguments, **options)

    def translated(annotation: Any) -> Any:
        kind, stated = get_args(annotation)
        make = typer.Option if stated.is_option else typer.Argument
        return Annotated[kind, make(*stated.names, **stated.details)]

    signature = inspect.signature(command, eval_str=True)
    parameters = [each.replace(annotation=translated(each.annotation)) for each in signature.parameters.values()]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped
