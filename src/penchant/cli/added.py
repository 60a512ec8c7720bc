"""Commands that installed packages add, beside those of Penchant."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from penchant.cli.hints import Command
from penchant.errors import ConfigError
from penchant.plugins import added_names, blame, find_added

__all__ = ["GROUP", "Verbs"]

GROUP = "penchant.commands"


class Verbs(TyperGroup):
    """The commands by name: first those that are ours, then those that packages add."""

    def list_commands(self, ctx: Any) -> list[str]:
        ours = super().list_commands(ctx)
        return [*ours, *(name for name in added_names(GROUP) if name not in ours)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or _added(cmd_name)


def _added(name: str) -> Any:
    """The command that a package adds; where it is broken, one that says so, so that the others can be listed."""
    try:
        added = find_added(GROUP, name)
        if not (added is None or callable(added)):
            raise blame(GROUP, name, f"is of the type {type(added).__name__}, not a function or a typer.Typer")
    except ConfigError as error:
        return _refusing(name, error)
    if added is None:
        return None
    return typer.main.get_command(added) if isinstance(added, typer.Typer) else _command(name, added)


def _command(name: str, function: Callable[..., Any], **settings: Any) -> Any:
    app = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
    app.command(name, cls=Command, **settings)(function)
    return typer.main.get_command(app)


def _refusing(name: str, error: ConfigError) -> Any:
    def refuse() -> None:
        raise error

    refuse.__doc__ = str(error)
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return _command(name, refuse, context_settings=anything)
