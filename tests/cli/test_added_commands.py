"""A package of somebody else's adds a command, which is listed, helped with and run as ours are."""

import pytest

GREET = '''
from typing import Annotated

import typer

from penchant.errors import DataError


def greet(name: str, loudly: Annotated[bool, typer.Option("--loudly")] = False) -> None:
    """Greet somebody."""
    if name == "nobody":
        raise DataError("nobody: is nobody; name somebody")
    typer.echo(f"good day, {name}" + "!" * loudly)


many = typer.Typer()
many.command("one")(greet)
many.command("two")(greet)
wrong = 7
'''


@pytest.fixture
def greeting(add_package):
    points = {"greet": "greeting:greet", "many": "greeting:many", "wrong": "greeting:wrong", "check": "greeting:greet"}
    add_package("greetings", {"penchant.commands": points | {"torn": "torn_greeting:greet"}}, greeting=GREET)


def test_it_is_run_with_its_options_and_its_mistakes_exit_with_2(penchant, greeting):
    assert penchant("greet", "Kim", "--loudly").out == "good day, Kim!\n"
    assert penchant("many", "two", "Kim").out == "good day, Kim\n"
    result = penchant("greet", "nobody")
    assert (result.code, result.err) == (2, "penchant: nobody: is nobody; name somebody\n")


def test_it_is_listed_and_a_broken_one_says_so_without_being_in_the_way(penchant, greeting):
    listed = " ".join(penchant("--help").out.split())
    assert "greet Greet somebody." in listed
    assert "The command 'torn' of the package greetings 1.0 cannot be loaded" in listed
    for name, fault in (("torn", "cannot be loaded (ModuleNotFoundError: "), ("wrong", "is of the type int, not a ")):
        result = penchant(name, "--some", "thing")
        assert result.code == 2
        assert result.err.startswith(f"penchant: The command '{name}' of the package greetings 1.0 {fault}")


def test_a_name_of_ours_stays_ours(penchant, greeting):
    assert "Check data before training on it" in penchant("check", "--help").out
