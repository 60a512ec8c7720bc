"""The house: what a room may take from another, and how small the shell is; `lint-imports` checks the layers."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "penchant").rglob("*.py"))
}
COMMANDS = {module: path for module, path in FILES.items() if module.startswith("penchant.cli.")}


def room_of(module: str) -> str:
    """The part of `penchant` that a module belongs to."""
    return ".".join(module.split(".")[:2])


def imported(module: str) -> Iterator[tuple[str, str]]:
    """The names that a module takes from others of ours: (from which module, which name)."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "penchant":
            for alias in node.names:
                yield (node.module or "", alias.name)


def taken_across_rooms() -> Iterator[tuple[str, str, str]]:
    """(by which module, from which module, which name), where both are of different rooms."""
    for module in FILES:
        for source, name in imported(module):
            target = f"{source}.{name}" if f"{source}.{name}" in FILES else source
            if room_of(target) != room_of(module):
                yield module, source, name


@pytest.mark.slow(threads=1)
def test_no_private_name_is_taken_from_another_room():
    private = [taken for taken in taken_across_rooms() if re.search(r"(^|\.)_(?!_)", ".".join(taken[1:]))]
    assert not private


@pytest.mark.slow(threads=1)
def test_what_a_command_takes_from_the_library_is_public():
    hidden = []
    for module, source, name in taken_across_rooms():
        if module in COMMANDS and f"{source}.{name}" not in FILES:
            public = getattr(importlib.import_module(source), "__all__", ())
            hidden += [] if name in (*public, "__version__") else [f"{module} takes {name} from {source}"]
    assert not hidden


@pytest.mark.slow(threads=1)
def test_the_library_knows_nothing_of_the_shell():
    shell = re.compile(r"(penchant\.cli|typer|rich|click)(\.|$)")
    taken = []
    for module in FILES.keys() - COMMANDS.keys() - {"penchant.cli", "penchant.__main__"}:
        for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            taken += [f"{module} imports {name}" for name in names if shell.match(name)]
    assert not taken


@pytest.mark.slow(threads=1)
def test_no_code_calls_a_command():
    calls = []
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                function = ast.unparse(node.func)
                calls += [f"{module}:{node.lineno}"] if re.fullmatch(r"(?!app\b)(.*\.)?command", function) else []
    assert not calls


def lines(module: str) -> int:
    return COMMANDS[module].read_text(encoding="utf-8").count("\n")


def test_a_file_of_the_shell_is_short():
    assert not {module: lines(module) for module in COMMANDS if lines(module) > 150}


def test_the_shell_is_a_thin_part_of_the_house():
    """All of the shell, what commands share included."""
    assert sum(map(lines, COMMANDS)) <= 2500
