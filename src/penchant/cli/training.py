"""What the commands that train have in common: settings from four places."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from penchant.cli.console import Reporter
from penchant.cli.declaring import flattened
from penchant.files.place import require_place
from penchant.launching import launch
from penchant.training.arguments import SETTING_OF, dotted
from penchant.training.settings import REQUIRED, build_config

__all__ = ["begin"]

Config = TypeVar("Config")


@contextmanager
def begin(
    schema: type[Config], parameters: Mapping[str, Any], own: Mapping[str, Any] | None = None, *, writes: bool = True
) -> Iterator[tuple[Config, Reporter]]:
    """The checked configuration, and where progress goes; the process is this command's own.

    parameters: of the command, by name; those that are settings are read as such. own: options of one command alone, by
    the settings they set. writes: whether an output is needed. Where several processes are to do it together, they are
    started, and this one ends as they do.
    """
    given = flattened(parameters)
    flags = {name: given[name] for name in SETTING_OF if given.get(name, False) is not False}
    config: Any = build_config(
        schema,  # type: ignore[type-var]  # one of the configurations
        file=given["config"],
        settings=given["settings"] or (),
        flags=dotted(flags) | {"save.trackers": given.get("trackers") or None} | dict(own or {}),
        environment=os.environ,
        required=REQUIRED if writes else REQUIRED[1:],
        flags_are="the command line",
    )
    if writes:
        require_place(Path(config.output))
    launch(given.get("processes", 1), given.get("max_restarts", 0))
    with Reporter() as reporter:
        from penchant.models.numerics import prepare_process

        prepare_process()
        yield config, reporter
