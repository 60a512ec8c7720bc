"""How options are declared: each in a line of a command's signature, and those that belong together as a group."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, dataclass_transform, get_type_hints

import typer

__all__ = ["Group", "argument", "declared", "flag", "flattened", "option"]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Group:
    """Options that belong together: a parameter of such a type stands for an option to each of its fields."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


def option(help: str, names: str = "", *, default: Any = None, shown: str | bool = True, **rules: Any) -> Any:
    """An option. names: as "--output -o", where they are not the parameter's own. shown: its default in words."""
    shown = "none" if shown is True and default is None else shown
    return typer.Option(default, *names.split(), help=help, show_default=shown, **rules)


def flag(names: str, help: str) -> Any:
    """An option that takes no value."""
    return option(help, names, default=False, shown="off")


def argument(help: str, *, default: Any = ..., shown: str | bool = True, **rules: Any) -> Any:
    """An argument; without a default it must be given."""
    return typer.Argument(default, help=help, show_default=shown, **rules)


def declared(function: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer reads it: its groups are written out, field by field.

    The default of a group says which defaults its fields have in this command. Each example of the docstring
    becomes a paragraph, so that the help keeps them apart; other paragraphs become one line, for the terminal to wrap.
    """
    signature = inspect.signature(function, eval_str=True)

    @wraps(function)
    def call(**given: Any) -> None:
        function(**{name: _taken(one.annotation, name, given) for name, one in signature.parameters.items()})

    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for one in signature.parameters.values()
        for name, annotation, default in _written_out(one.name, one.annotation, one.default)
    ]
    call.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in options}
    examples_apart = re.sub(r"\n+(?= {4})", "\n\n", inspect.getdoc(function) or "")
    call.__doc__ = re.sub(r"(?<!\n)\n(?=\S)", " ", examples_apart)
    return call


def flattened(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a command by name, those of its groups among them."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        flat |= flattened(vars(value)) if isinstance(value, Group) else {name: value}
    return flat


def _written_out(name: str, annotation: Any, default: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of a parameter, or of each field where it is a group."""
    if not _is_group(annotation):
        yield name, annotation, default
        return
    types = get_type_hints(annotation)
    for field in fields(annotation):
        declared = copy(field.default)
        if (here := getattr(default, field.name, field.default)) is not field.default:
            declared.default = here  # type: ignore[union-attr]
        yield from _written_out(field.name, types[field.name], declared)


def _taken(kind: Any, name: str, given: Mapping[str, Any]) -> Any:
    """A parameter's value, or its group made of what was given."""
    if not _is_group(kind):
        return given[name]
    types = get_type_hints(kind)
    return kind(**{field.name: _taken(types[field.name], field.name, given) for field in fields(kind)})


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Group)
