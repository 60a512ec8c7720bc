"""Options are declared in a line each, and groups of them are written out as Typer reads them."""

from typing import Any

import typer
from typer.testing import CliRunner

from penchant.cli.declaring import Group, argument, declared, flag, flattened, option


class Colour(Group):
    hue: str = option("Which colour.", default="red")
    depth: int | None = option("How deep.", "--depth -d", shown="deep enough", min=1)


class Paint(Group):
    glossy: bool = flag("--glossy", "Shine.")
    colour: Colour


BLUE = Colour(hue="blue")


def run(command: Any, *words: str) -> str:
    app = typer.Typer(add_completion=False)
    app.command()(declared(command))
    result = CliRunner().invoke(app, list(words), env={"TERM": "dumb", "COLUMNS": "100", "NO_COLOR": "1"})
    return result.output


def test_a_group_is_an_option_to_each_field_and_the_command_gets_the_group():
    def command(
        *, wall: str = argument("What is painted."), paint: Paint, times: int = option("How often.", default=1)
    ):
        print(wall, paint, times)

    made = "Paint(glossy={}, colour=Colour(hue='{}', depth={}))"
    assert run(command, "wall").strip() == f"wall {made.format(False, 'red', None)} 1"
    given = ("--glossy", "--hue", "green", "-d", "2", "--times", "3")
    assert run(command, "wall", *given).strip() == f"wall {made.format(True, 'green', 2)} 3"
    assert "Invalid value for '--depth'" in run(command, "wall", "--depth", "0")
    assert "Missing argument" in run(command)


def test_the_default_of_a_group_says_which_defaults_its_fields_have_in_this_command():
    def blue(*, colour: Colour = BLUE):
        print(colour)

    def red(*, colour: Colour):
        print(colour)

    assert run(blue).strip() == "Colour(hue='blue', depth=None)"
    assert run(red).strip() == "Colour(hue='red', depth=None)", "one command's default is not another's"
    assert "[default: blue]" in run(blue, "--help")
    assert "[default: (deep enough)]" in run(blue, "--help")


def test_each_example_of_the_help_is_a_paragraph():
    def command():
        """Paint.

        [bold]Examples[/bold]
            paint wall
            paint door
        """

    assert declared(command).__doc__ == "Paint.\n\n[bold]Examples[/bold]\n\n    paint wall\n\n    paint door"


def test_parameters_are_flattened_with_those_of_groups_within_groups():
    given = {"wall": "north", "paint": Paint(glossy=True, colour=Colour(hue="grey", depth=3))}
    assert flattened(given) == {"wall": "north", "glossy": True, "hue": "grey", "depth": 3}
