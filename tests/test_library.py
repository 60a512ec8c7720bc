"""What `import penchant` offers: all of it there, documented, and brought in when it is asked for."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from typer.main import get_command

import penchant as pt
from penchant.cli.main import app

HEAVY = ("torch", "transformers", "numpy", "pandas", "pydantic", "rich", "typer")


def test_importing_it_brings_no_heavy_library_in():
    code = f"import sys, penchant; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", pt.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    assert inspect.getdoc(getattr(pt, name)), f"penchant.{name} has no docstring"


@pytest.mark.parametrize("name", [name for name in pt.__all__ if inspect.isfunction(getattr(pt, name))])
def test_every_function_says_what_it_raises_and_every_argument_has_a_type(name):
    function = getattr(pt, name)
    doc = inspect.getdoc(function)
    assert "Raises" in doc or "errors as for" in doc
    assert "return" in function.__annotations__
    assert inspect.signature(function).parameters.keys() <= function.__annotations__.keys()


@pytest.mark.parametrize("name", [name for name in pt.__all__ if inspect.isfunction(getattr(pt, name))])
def test_the_docstring_of_a_function_says_what_every_argument_is(name):
    doc = inspect.getdoc(getattr(pt, name))
    untold = {word for word in inspect.signature(getattr(pt, name)).parameters if not re.search(rf"\b{word}\b", doc)}
    as_elsewhere = "rguments and errors as for" in doc
    assert as_elsewhere or untold <= {"arguments"}, untold


RESULTS = [name for name in pt.__all__ if hasattr(getattr(pt, name), "__dataclass_fields__")]


@pytest.mark.parametrize("name", RESULTS)
def test_the_docstring_of_a_result_says_what_every_field_is(name):
    doc = inspect.getdoc(getattr(pt, name))
    assert [field for field in getattr(pt, name).__dataclass_fields__ if not re.search(rf"\b{field}\b", doc)] == []


def test_a_name_that_is_not_there_is_an_attribute_error_and_dir_lists_all():
    with pytest.raises(AttributeError, match="'penchant' has no attribute 'fit'"):
        _ = pt.fit
    assert set(pt.__all__) <= set(dir(pt))


def test_names_are_listed_once_and_are_those_of_their_modules():
    assert len(set(pt.__all__)) == len(pt.__all__)
    assert set(pt.__all__) == set(pt._MODULE_OF)


def test_errors_are_related_as_the_docstring_says():
    for name in ("DataError", "ModelError", "ConfigError", "OutputError"):
        assert issubclass(getattr(pt, name), pt.UserError)
    for name in ("UserError", "TrainingError", "WrittenError"):
        assert issubclass(getattr(pt, name), pt.PenchantError)
    assert not issubclass(pt.Interrupted, Exception)


def test_the_page_of_the_library_lists_these_names_and_no_others():
    page = (Path(__file__).parents[1] / "docs" / "library.md").read_text(encoding="utf-8")
    first_cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    listed = [name for cell in first_cells for name in re.findall(r"`penchant\.(\w+)", cell)]
    assert sorted(listed) == sorted(pt.__all__)


DOCS = Path(__file__).parents[1] / "docs"
ROW = re.compile(r"^\| `penchant ([a-z ]+)` \| `([\w.]+)` \| (.*) \|$", re.M)
RENAMED = re.compile(r"((?:`[\w-]+`[,、] ?)*`[\w-]+`) → `(\w+)`")
LOADING = {"--device", "--dtype", "--chat-template", "--special-tokens"}


def commands(group, above=()):
    """Every command by its words; a group that does nothing by itself is none."""
    for name, command in group.commands.items():
        parts = getattr(command, "commands", {})
        if not parts or command.invoke_without_command:
            yield " ".join((*above, name)), command
        if parts:
            yield from commands(command, (*above, name))


def named(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def arguments(function):
    """Names that a function takes, those of a TypedDict too; None among them if it takes any."""
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            said = parameter.annotation
            kind = get_args(eval(said, function.__globals__) if isinstance(said, str) else said)
            yield from get_type_hints(kind[0]) if kind else (None,)
        else:
            yield name


def as_typed(parameter):
    """An option as it is typed, an argument by its name in capitals."""
    return next((name for name in parameter.opts if name.startswith("--")), parameter.name.upper())


@pytest.mark.parametrize("name", ["library.md", "library.zh-CN.md"])
def test_the_page_names_the_call_of_every_command_and_where_its_words_differ(name):
    page = (DOCS / name).read_text(encoding="utf-8")
    rows, known = ROW.findall(page), dict(commands(get_command(app)))
    assert sorted([command for command, *_ in rows] + ["demo"]) == sorted(known)
    (alone,) = re.findall(r"^(?:Only the commands have|只有命令才有).*?\n\n", page, re.M | re.S)
    for command, path, differs in rows:
        taken = set(arguments(named(path)))
        options = {as_typed(parameter): parameter for parameter in known[command].params if parameter.name != "help"}
        renamed = {old: new for olds, new in RENAMED.findall(differs) for old in re.findall(r"`([\w-]+)`", olds)}
        assert set(renamed.values()) <= taken, f"{command}: {path} lacks {set(renamed.values()) - taken}"
        assert renamed.keys() <= options.keys(), f"{command} lacks {renamed.keys() - options.keys()}"
        for other in re.findall(r"(?: is | 是 )`([\w.]+)`", differs):
            assert named(other) is not None
        for option in options.keys() - renamed.keys() - set(re.findall(r"`(--[\w-]+)`", differs + alone)) - LOADING:
            same = option.removeprefix("--").replace("-", "_").lower()
            assert same in taken or None in taken, f"{command}: {path} lacks {option}, and the page does not say so"
