"""What `import penchant` offers: all of it there, documented, and brought in when it is asked for."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import penchant as pt

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
