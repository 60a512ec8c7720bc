"""The theory pages: each function, test, figure and example they name is there, and both languages say the same."""

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NAMES = ["theory.md", "theory.zh-CN.md"]

BLOCK = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
NUMBERED = re.compile(r"^\*\*\((\d+)\).*\*\*.*\n\n\$\$$", re.MULTILINE)
FUNCTION = re.compile(r"\[`(penchant(?:\.\w+)+)`\]\(([^)]+)\)")
TEST = re.compile(r"\[`(tests/[\w/]+\.py)::(\w+)`\]\(([^)]+)\)")
FIGURE = re.compile(r"(?:!\[[^\]]+\]|\[`[\w-]+`\])\(figures/([\w-]+)\.svg\)")
EMBEDDED = re.compile(r"!\[[^\]]+\]\(figures/([\w-]+)\.svg\)")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| \((\d+)\) .*$", re.MULTILINE)


@cache
def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def prose(text):
    """The page without its code and its displayed equations."""
    return BLOCK.sub("", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def kept_figures():
    """The figures that no other page than these shows."""
    others = "".join(other.read_text(encoding="utf-8") for other in DOCS.rglob("*.md") if other.name not in NAMES)
    return sorted(path for path in (DOCS / "figures").iterdir() if f"figures/{path.name})" not in others)


def sections_of_equations(text):
    """Number of each equation: the text from it to the next equation or heading of a chapter."""
    starts = list(NUMBERED.finditer(text))
    chapters = [heading.start() for heading in re.finditer(r"^## ", text, re.MULTILINE)]
    ends = [
        min(end for end in (*(later.start() for later in starts), *chapters) if end > start.start()) for start in starts
    ]
    return {int(start[1]): text[start.start() : end] for start, end in zip(starts, ends, strict=True)}


def find(dotted):
    """The object that a dotted name stands for: the longest module, then attributes."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(dotted)


@cache
def defined_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def drawing():
    spec = importlib.util.spec_from_file_location("docs_figures", DOCS / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_every_function_named_is_defined_in_the_file_it_links_to(name):
    named = set(FUNCTION.findall(page(name)))
    assert len(named) > 30
    for dotted, target in named:
        assert Path(inspect.getsourcefile(find(dotted))) == (DOCS / target).resolve(), dotted


@pytest.mark.parametrize("name", NAMES)
def test_every_test_named_is_in_the_file_it_links_to(name):
    named = set(TEST.findall(page(name)))
    assert len(named) > 30
    for file, function, target in named:
        assert (ROOT / file) == (DOCS / target).resolve(), target
        assert function in defined_in(file), f"{file}::{function}"


@pytest.mark.parametrize("name", NAMES)
def test_every_equation_is_numbered_in_order_and_has_a_function_and_a_test(name):
    sections = sections_of_equations(page(name))
    assert list(sections) == list(range(1, len(BLOCK.findall(page(name))) + 1))
    assert len(sections) > 30
    for number, section in sections.items():
        assert FUNCTION.search(section), f"({number}) names no function"
        assert TEST.search(section), f"({number}) names no test"


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_a_row_for_every_equation_and_says_what_the_text_says(name):
    sections = sections_of_equations(page(name))
    rows = {int(row[1]): row[0] for row in ROW.finditer(page(name))}
    assert list(rows) == list(sections)
    for number, row in rows.items():
        assert FUNCTION.search(row)
        assert TEST.search(row)
        for pattern in (FUNCTION, TEST, FIGURE):
            assert set(pattern.findall(row)) <= set(pattern.findall(sections[number])), f"row ({number})"


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_shown_once_and_no_other_is_kept(name):
    shown = EMBEDDED.findall(page(name))
    assert sorted(shown) == sorted(set(shown)) == sorted(drawing().FIGURES)
    assert {path.name for path in kept_figures()} == {f"{one}.svg" for one in shown}


@pytest.mark.slow(threads=1)
def test_the_figures_are_drawn_again_under_the_same_names_and_titles(tmp_path):
    written = drawing().draw(tmp_path)
    kept = kept_figures()
    assert sorted(path.name for path in written) == [path.name for path in kept]
    for path in (*written, *kept):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    for path in written:
        assert words(path) == words(DOCS / "figures" / path.name), f"{path.name} is stale: run python docs/figures.py"


def words(path):
    """Title, axis labels and legend of a figure, without the numbers along its axes."""
    texts = ["".join(node.itertext()) for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    return [text for text in texts if re.search(r"[a-z]{2}", text)]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run_and_give_what_they_say(name):
    names, runner = {}, doctest.DocTestRunner(verbose=False)
    examples = [block for block in EXAMPLE.finditer(page(name)) if ">>>" in block[1]]
    assert len(examples) > 10
    for block in examples:
        line = page(name).count("\n", 0, block.start(1))
        example = doctest.DocTestParser().get_doctest(block[1], names, name, str(DOCS / name), line)
        runner.run(example, clear_globs=False)
        names = example.globs
    assert runner.summarize(verbose=False).failed == 0


def test_both_languages_have_the_same_sections():
    english, chinese = (
        [(level, number) for level, number in re.findall(r"^(#+) (\d[\d.]*)?", prose(page(name)), re.MULTILINE)]
        for name in NAMES
    )
    assert english == chinese
    assert len(english) > 20


PARTS = {
    "equations": BLOCK,
    "numbers": NUMBERED,
    "functions": FUNCTION,
    "tests": TEST,
    "figures": FIGURE,
    "examples": EXAMPLE,
    "papers": re.compile(r"\]\((https?://[^)]+)\)"),
}


@pytest.mark.parametrize("part", PARTS)
def test_both_languages_have_the_same_parts_in_the_same_order(part):
    english, chinese = (PARTS[part].findall(page(name)) for name in NAMES)
    assert english == chinese
    assert english


def test_both_languages_have_the_same_notes():
    english, chinese = (re.findall(r"^> \[!NOTE\]$", page(name), re.MULTILINE) for name in NAMES)
    assert len(english) == len(chinese) > 10


def sections_with_notes(text):
    return [section.count("> [!NOTE]") for section in re.split(r"^#+ ", text, flags=re.MULTILINE)]


def test_the_notes_stand_in_the_same_sections():
    english, chinese = (sections_with_notes(page(name)) for name in NAMES)
    assert english == chinese


@pytest.mark.parametrize("name", NAMES)
def test_the_mathematics_is_such_that_github_renders_it(name):
    """Markdown eats a backslash before punctuation and reads < as a tag; a dollar opens mathematics after a space."""
    inline = re.findall(r"(.?)\$([^$\n]+)\$(.?)", prose(page(name)))
    assert len(inline) > 30
    for before, formula, after in inline:
        assert before in {"", " "}, formula
        assert not re.match(r"\w", after), formula
        assert formula == formula.strip()
    for formula in (*BLOCK.findall(page(name)), *(formula for _, formula, _ in inline)):
        assert not re.search(r"\\[^a-zA-Z]|[<>|*]", formula.replace("\\\\\n", "\n")), formula
        assert formula.count("{") == formula.count("}")
        assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula))
        assert re.findall(r"\\begin\{(\w+)\}", formula) == re.findall(r"\\end\{(\w+)\}", formula)
        assert not re.search(r"\n\s*\n", formula)
