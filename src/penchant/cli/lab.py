"""`penchant lab`: the claims of the theory, computed in a world small enough to list, and two on real models."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["NAME", "command"]

NAME = "lab"
FOLDER = "folder"
"""The option of an experiment that writes more than figures; --output/NAME unless it is set."""


def command(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of experiments, or 'all' for those that take seconds; without a name they are listed.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for figures (SVG, PNG) and numbers (JSON).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An option of the named experiments, as name=value; may be repeated. At least one of them must have "
            "it.",
        ),
    ] = None,
) -> None:
    """Check what the mathematics claims: each experiment prints its claim, what was measured and whether it held.

    Most are exact, in float64, and take seconds; these are what 'all' runs. Two are not among them: tree loads a real
    language model, and life trains a small one from nothing in a minute or two. The exit code is 1 if a claim did not
    hold.

    [bold]Examples[/bold]

        penchant lab

        penchant lab optimum overfitting --output runs/lab

        penchant lab temperature --set num_responses=5 --set seed=3

        penchant lab tree --set "prompt=What is the sea?" --set depth=4 --output runs/lab

        penchant lab life --output runs/lab
    """
    from rich.console import Console

    from penchant import life
    from penchant.lab import EXPERIMENTS

    console, on_models = Console(), life.EXPERIMENTS
    every = {**EXPERIMENTS, **on_models}
    if not experiments:
        _list(console, every)
        return
    chosen = list(EXPERIMENTS) if experiments == ["all"] else experiments
    functions = {name: _find(every, name) for name in chosen}
    calls = [(name, functions[name], _options(name, functions, settings or [], output, console)) for name in chosen]
    held = True
    for name, function, options in calls:
        result = _run(function, options).as_dict()
        _show(console, result)
        if output is not None:
            for path in _write(output / name, result):
                console.print(f"  {path}", highlight=False, soft_wrap=True)
        held = held and result["held"]
    if experiments == ["all"]:
        console.print(f"Left out, as they take longer: {', '.join(on_models)}. Run them by name.", highlight=False)
    if not held:
        raise typer.Exit(1)


def _list(console: Any, experiments: Any) -> None:
    from penchant.cli.tables import print_table

    rows = []
    for name, function in experiments.items():
        options = ", ".join(f"{p.name}={p.default}".rstrip("=") for p in _options_of(function).values())
        rows.append((name, (inspect.getdoc(function) or "").splitlines()[0], options or "none"))
    print_table(console, ("experiment", "what it does", "options"), rows)


def _run(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """The result of an experiment, which shows its progress where it has any to show."""
    from penchant.cli.console import Reporter

    if "reporter" not in inspect.signature(function).parameters:
        return function(**options)
    with Reporter() as reporter:
        return function(**options, reporter=reporter)


def _options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What may be set; an argument that only a program can give, such as a reporter, is given by name alone."""
    parameters = inspect.signature(function).parameters
    return {name: one for name, one in parameters.items() if one.kind is not one.KEYWORD_ONLY}


def _find(experiments: Any, name: str) -> Callable[..., Any]:
    """Raises ConfigError for what is not there."""
    from penchant.errors import ConfigError
    from penchant.wording import nearest

    if name not in experiments:
        near = nearest(name, experiments)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(experiments)}"
        raise ConfigError(f"lab: there is no experiment '{name}'; {hint}")
    function: Callable[..., Any] = experiments[name]
    return function


def _options(
    name: str, functions: Mapping[str, Callable[..., Any]], settings: Sequence[str], output: Path | None, console: Any
) -> dict[str, Any]:
    """The options of one experiment among those named. Raises ConfigError for what is of none, or of another kind."""
    from penchant.errors import ConfigError

    options_of = {one: _options_of(function) for one, function in functions.items()}
    parameters = options_of[name]
    options: dict[str, Any] = {FOLDER: str(output / name)} if FOLDER in parameters and output is not None else {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not any(key in known for known in options_of.values()):
            known = ", ".join(dict.fromkeys(option for one in options_of.values() for option in one)) or "none"
            raise ConfigError(
                f"lab {' '.join(functions)}: --set takes option=value of {'its' if len(functions) == 1 else 'their'} "
                f"options ({known}), got '{setting}'"
            )
        if key not in parameters:
            console.print(f"{name} has no {key}, so it runs as without --set {setting}", highlight=False, markup=False)
            continue
        kind = type(parameters[key].default)
        try:
            options[key] = kind(text)
        except ValueError:
            raise ConfigError(
                f"lab {name}: {key} is {kind.__name__} such as {parameters[key].default}, got '{text}'"
            ) from None
    return options


def _show(console: Any, result: dict[str, Any]) -> None:
    from rich.text import Text

    from penchant.cli.tables import print_table

    console.print(Text(result["name"], style="bold"))
    console.print(Text(result["claim"]))
    for words, good in result["checks"].items():
        console.print(Text(f"  {'held  ' if good else 'FAILED'}  {words}", style="" if good else "bold red"))
    if result["table"]:
        print_table(console, list(result["table"][0]), [list(row.values()) for row in result["table"]])
    print_table(console, ("measured", "value"), [(name, f"{value:.6g}") for name, value in result["measured"].items()])
    console.print(Text("The claim held." if result["held"] else "The claim did NOT hold.", style="bold"))


def _write(stem: Path, result: dict[str, Any]) -> list[Path]:
    from penchant.errors import OutputError
    from penchant.report.lecture import draw_figure

    written = [stem.with_name(stem.name + ".json")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        written[0].write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for number, figure in enumerate(result["figures"], 1):
            name = stem.name if len(result["figures"]) == 1 else f"{stem.name}-{number}"
            written += draw_figure(figure, stem.with_name(name))
    except OSError as error:
        raise OutputError(f"{stem.parent}: cannot be written ({error.strerror}); choose another --output") from error
    return written
