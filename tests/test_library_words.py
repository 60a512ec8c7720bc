"""The library speaks Python: no sentence of it names an option of a command, which a caller of a function has not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import penchant

PACKAGE = Path(penchant.__file__).parent
OPTION = re.compile(r"(?:^|[ `\n])--[a-z][a-z-]+(?=[ `,;.:]|$)")
OF_ANOTHER_PROGRAM = {"models/starter.py": {"--quiet", "--no-deps", "--dest"}}
"""What is passed to pip."""


def texts_in(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.slow(threads=1)
def test_no_text_of_the_library_names_an_option_of_a_command():
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if not name.startswith("cli/"):
            allowed = OF_ANOTHER_PROGRAM.get(name, set())
            found += [
                f"{name}:{line}: {text}" for line, text in texts_in(file) if OPTION.search(text) and text not in allowed
            ]
    assert found == [], "write an argument between backticks, `resume=True`; commands turn it into an option"


def test_an_option_in_a_text_is_found(tmp_path):
    file = tmp_path / "one.py"
    lines = [
        '"""Of --resume."""',
        'SAID = f"{0}: choose another --output"',
        'FINE = "a -- b, well--known, `resume=True`"',
    ]
    file.write_text("\n".join(lines))
    assert {line for line, text in texts_in(file) if OPTION.search(text)} == {1, 2}
