"""The docs say what the code does: help and settings are regenerated, commands parse, links lead somewhere."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import penchant
from penchant.cli.demo import steps
from penchant.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def load(name):
    """A script of docs/."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make, site = load("make"), load("site_hooks")


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", ["commands.md", "settings.md", "rooms.md"])
def test_pages_written_by_the_code_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == make.PAGES[name](), "run `make docs`"


def test_the_rooms_that_are_called_public_are_on_their_page_with_all_their_names():
    page = (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8")
    rooms = make.public_rooms(penchant.__doc__)
    assert {"data", "ranking", "feedback", "rounds", "life"} <= set(rooms)
    assert re.findall(r"^## penchant\.(\w+)$", page, re.MULTILINE) == rooms
    for room in rooms:
        section = page.partition(f"## penchant.{room}\n")[2].partition("\n## ")[0]
        listed = re.findall(r"^\| `(\w+)` \| .+ \|$", section, re.MULTILINE)
        assert sorted(listed) == sorted(importlib.import_module(f"penchant.{room}").__all__)


def test_every_setting_has_a_meaning_and_its_allowed_values():
    for schema in make.schemas():
        for setting in make.settings(schema):
            assert len(setting.meaning.split()) > 1, f"{schema.__name__}: {setting.name} has no description"
            assert all((setting.default, setting.allowed)), setting.name


def test_the_allowed_values_are_those_that_the_schema_takes():
    dpo, sft, *_, project = ({s.name: s for s in make.settings(schema)} for schema in make.schemas())
    assert dpo["dpo.moving_reference.mixup"].allowed == "a number above 0 and at most 1"
    assert dpo["seed"].allowed == "an integer at least 0 and below 2**63"
    assert dpo["model.device"].allowed == "`auto`, `cpu`, `cuda`, `mps`"
    assert dpo["data.max_prompt_length"][1:3] == ("`null`", "an integer above 0 or `null`")
    assert dpo["data.files"][1:3] == ("required", "a list of texts")
    assert sft["optimiser.batch_size"].default == "`16`"
    assert project["overlap"].allowed == "an integer at least 1 and at most 1000"


def commands_in(text):
    """Every `penchant ...` line of a console block, and of the examples in help texts."""
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("penchant ")]


@cache
def program():
    """The commands, made once: their hundreds of options take a tenth of a second."""
    return get_command(app)


def parse(line):
    """Parse a command line as the command would, without running it."""
    words = shlex.split(line.split(" | ")[0])[1:]
    command = program()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command.make_context("penchant", words).command.name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_in_the_docs_is_one_that_the_program_takes(page):
    for line in commands_in(page.read_text(encoding="utf-8")):
        assert parse(line) in line


def test_every_example_in_a_help_text_is_one_that_the_program_takes():
    lines = [
        line.strip()
        for command in app.registered_commands
        for line in (command.callback.__doc__ or "").splitlines()
        if line.strip().startswith("penchant ")
    ]
    assert len(lines) > 10
    for line in lines:
        parse(line)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readmes_give_the_demo_as_the_demo_runs_it(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for _, arguments in steps(Path("runs/demo")):
        given = [line for line in commands_in(text) if set(shlex.split(line)[1:]) == set(arguments)]
        assert given, f"{name} lacks: penchant {shlex.join(arguments)}"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readmes_caption_every_room_of_the_code_and_files_that_are_there(name):
    text, code = (ROOT / name).read_text(encoding="utf-8"), ROOT / "src" / "penchant"
    (rooms,) = re.findall(r"^src/penchant/\n(.*?)^benchmarks/", text, re.M | re.S)
    listed = re.findall(r"^  (\w+)/ +\S", rooms, re.M)
    assert sorted(listed) == sorted(path.parent.name for path in code.glob("*/__init__.py"))
    captioned = re.findall(r"^\| `([\w/]+\.py)` \| \S", text, re.M)
    assert len(captioned) == 10
    assert [path for path in captioned if not (code / path).is_file()] == []


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.M | re.S)


def links_of(page):
    """Where the links of a page lead within the project: a path, and an anchor or nothing."""
    for target in LINK.findall(CODE.sub("`code`", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page.resolve(), anchor


@cache
def anchors_of(page):
    """The anchors of a page's headings; a heading that comes again has a number."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    slugs = [site.slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings]
    return {slug if (n := slugs[:i].count(slug)) == 0 else f"{slug}-{n}" for i, slug in enumerate(slugs)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_within_the_project_lead_to_files_and_their_headings(page):
    for path, anchor in links_of(page):
        assert path.exists(), path
        assert not anchor or path.suffix != ".md" or anchor in anchors_of(path), f"{path.name}#{anchor}"


@cache
def menu():
    """Sections and entries of the site's menu: the words before a page, and the page."""

    def walk(entries, above=()):
        for entry in entries:
            ((title, what),) = entry.items()
            if isinstance(what, str):
                yield (*above, title), what
            else:
                yield from walk(what, (*above, title))

    return tuple(walk(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))


SITE = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}


def test_every_page_is_in_the_menu_once_and_every_entry_is_a_page():
    pages = [page for _, page in menu()]
    assert sorted(pages) == sorted(SITE)


@pytest.mark.parametrize(("index", "language"), [("index.md", "en"), ("index.zh-CN.md", "zh-CN")])
def test_every_page_is_linked_from_the_index(index, language):
    linked = {path.relative_to(ROOT / "docs").as_posix() for path, _ in links_of(ROOT / "docs" / index)}
    chinese = {page for page in SITE if page.endswith(".zh-CN.md")}
    if language == "en":
        assert linked >= SITE - chinese - {index}
    else:
        assert linked >= chinese - {index}
        translated = {page.replace(".zh-CN.md", ".md") for page in chinese}
        assert linked >= {page for page in SITE - chinese - translated if not page.startswith("adr/")}


def test_what_is_translated_is_in_a_menu_of_its_language():
    for titles, page in menu():
        is_chinese = [bool(re.search("[\u4e00-\u9fff]", title)) for title in titles]
        assert is_chinese == [page.endswith(".zh-CN.md")] * len(titles), titles
    translated = {page.replace(".zh-CN.md", ".md") for _, page in menu() if page.endswith(".zh-CN.md")}
    assert translated >= {"index.md", "theory.md", *(page for page in SITE if re.match(r"tutorials/[\w-]+\.md", page))}


def test_nothing_of_the_site_is_fetched_from_elsewhere():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["theme"]["font"] is False
    assert not {"extra_css", "extra_javascript", "site_url"} & set(config)
    assert "offline" not in str(config["plugins"]), "it adds a script of another host"


def test_the_readmes_have_the_same_sections_and_commands():
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert len(re.findall(r"^## ", english, re.M)) == len(re.findall(r"^## ", chinese, re.M))
    assert commands_in(english) == commands_in(chinese)


@pytest.mark.slow
def test_the_site_is_built_whole_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    assert {path.with_suffix(".md").relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")} >= SITE
    for page in SITE:
        is_chinese = page.endswith(".zh-CN.md")
        html = (tmp_path / page).with_suffix(".html").read_text(encoding="utf-8")
        assert f'<html lang="{"zh" if is_chinese else "en"}"' in html, page
        tabs = re.findall(r'class="md-tabs__link">\s*(.*?)\s*</a>', html, re.S)
        assert len(tabs) > 3
        assert not is_chinese or all(re.fullmatch("[\u4e00-\u9fff]+", tab) for tab in tabs), (page, tabs)
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "arithmatex" not in text, f"a formula of {page.name} was not drawn"
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+stylesheet[^>]+//', text), (
            page.name
        )
    assert "<math" in (tmp_path / "theory.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'id="penchant\.(\w+)"', (tmp_path / "reference.html").read_text(encoding="utf-8")))
    assert shown == set(penchant.__all__)
