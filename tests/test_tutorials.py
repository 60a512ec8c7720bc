"""The notebooks of the tutorials run cell by cell; they are the pages, in both languages the same code."""

import ast
import contextlib
import importlib.util
import io
import json
import shlex
import sys
from pathlib import Path

import pytest
import torch

from penchant.cli import main as module
from penchant.life.untrained import ModelSize, write_untrained_model
from penchant.models.starter import starter_path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(page for page in (DOCS / "tutorials").glob("*.md") if not page.name.endswith(".zh-CN.md"))


def load_notebooks():
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


notebooks = load_notebooks()


@pytest.fixture
def a_stand_in_for_the_starter(tmp_path, monkeypatch):
    """A model of random weights under the starter's name, so that the commands of the pages need no change."""
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    write_untrained_model(starter_path("smollm2-135m"), texts, seed=0, size=ModelSize(context_length=512))
    (starter_path("smollm2-135m") / "complete").touch()


def run_command(line):
    """A line of a shell, in this process; its output is what a reader would see."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        patch.setattr(sys, "argv", shlex.split(line))
        try:
            module.main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code
        finally:
            torch.set_flush_denormal(False)
    assert not code, f"{line}\n{shown.getvalue()}"


def run_cell(source, names):
    """A cell as a notebook runs it: lines of a shell, or Python whose last expression is shown."""
    if source.startswith("!"):
        for line in source.splitlines():
            run_command(line.removeprefix("!"))
        return
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            assert isinstance(getattr(value, "_repr_html_", value.__repr__)(), str)


@pytest.mark.slow
@pytest.mark.usefixtures("a_stand_in_for_the_starter")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names, before, num_run = {}, set(sys.modules), 0
    for cell in json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            run_cell("".join(cell["source"]), names)
            num_run += 1
    assert num_run >= 6
    for name in {"taste"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_both_languages_of_a_tutorial_have_the_same_code(page):
    english, chinese = (
        [block for block in notebooks.blocks(p.read_text(encoding="utf-8")) if block[0] != "text"]
        for p in (page, page.with_name(f"{page.stem}.zh-CN.md"))
    )
    assert english == chinese


@pytest.mark.parametrize("page", sorted((DOCS / "tutorials").glob("*.md")), ids=lambda page: page.name)
def test_a_notebook_is_its_page(page):
    assert page.with_suffix(".ipynb").read_text(encoding="utf-8") == notebooks.written(page), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_holds_all_words_and_all_code_of_its_page_in_order(page):
    cells = notebooks.notebook(page.read_text(encoding="utf-8"))["cells"]
    rest = page.read_text(encoding="utf-8")
    for cell in cells:
        source = "".join(cell["source"])
        for line in source.splitlines():
            found = line.removeprefix("!") if cell["cell_type"] == "code" else line
            assert found in rest, line
            rest = rest[rest.index(found) + len(found) :]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert rest.strip("` \n") == ""


def test_a_block_that_is_not_run_stays_text_in_the_notebook():
    found = notebooks.notebook("Look:\n\n<!-- not run: it waits -->\n```console\nwait\n```\n\n```console\ngo\n```\n")
    assert [cell["cell_type"] for cell in found["cells"]] == ["markdown", "code"]
    assert found["cells"][1]["source"] == ["!go"]
    assert "wait\n" in "".join(found["cells"][0]["source"])
