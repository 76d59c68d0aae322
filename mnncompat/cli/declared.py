"""Arguments and options of commands, stated without typer: importing it takes longer than checking a small model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
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
        group: The command's parameter, a `NamedTuple` of options, that it is a field of; empty if it is one itself.
    """

    name: str
    kind: Any
    is_list: bool
    stated: Parameter
    group: str = ""


def declarations(command: Callable[..., Any]) -> list[Declared]:
    """The parameters of a command, in order; those that are groups of options are replaced by these options."""
    return [
        each
        for name, annotation in _annotations(command)
        for each in (
            [_declared(field, stated)._replace(group=name) for field, stated in _annotations(annotation)]
            if is_group(annotation)
            else [_declared(name, annotation)]
        )
    ]


def is_group(annotation: Any) -> bool:
    """Whether a parameter is a `NamedTuple` of options, which several commands share."""
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_field_defaults")


def grouped(command: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a command from values of its options by name, some of which may be missing."""
    found = dict(values)
    for name, annotation in _annotations(command):
        if is_group(annotation):
            found[name] = annotation(**{field: found.pop(field) for field in annotation._fields if field in found})
    return found


def _annotations(owner: Any) -> list[tuple[str, Any]]:
    space = vars(sys.modules[owner.__module__])
    texts = {name: getattr(text, "__forward_arg__", text) for name, text in owner.__annotations__.items()}
    return [
        (name, eval(text, space) if isinstance(text, str) else text)  # noqa: S307 - this package's annotations
        for name, text in texts.items()
        if name != "return"
    ]


def _declared(name: str, annotation: Any) -> Declared:
    kind, stated = get_args(annotation)
    kind = next((each for each in get_args(kind) if each is not type(None)), kind) if _is_optional(kind) else kind
    is_list = get_origin(kind) is list
    return Declared(name, get_args(kind)[0] if is_list else kind, is_list, stated)


def _is_optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def for_typer(
    command: Callable[..., None], call: Callable[[Callable[..., None], Mapping[str, Any]], None] | None = None
) -> Callable[..., None]:
    """The command with the annotations that typer reads.

    Args:
        command: The command.
        call: Calls it with values of its options; directly, if None.
    """
    import functools
    import inspect

    import typer

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        if call is None:
            command(**grouped(command, values))
        else:
            call(command, values)

    def translated(annotation: Any) -> Any:
        kind, stated = get_args(annotation)
        make = typer.Option if stated.is_option else typer.Argument
        return Annotated[kind, make(*stated.names, **stated.details)]

    def options_of(parameter: inspect.Parameter) -> list[inspect.Parameter]:
        if not is_group(parameter.annotation):
            return [parameter.replace(annotation=translated(parameter.annotation))]
        kind = parameter.annotation
        return [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=kind._field_defaults[name], annotation=translated(stated)
            )
            for name, stated in _annotations(kind)
        ]

    signature = inspect.signature(command, eval_str=True)
    parameters = [each for parameter in signature.parameters.values() for each in options_of(parameter)]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped
