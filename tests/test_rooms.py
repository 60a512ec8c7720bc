"""The house: what a room may take from another, and how small the shell is; `lint-imports` checks the layers."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penchant

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


@pytest.mark.slow(threads=1)
def test_what_replaces_a_file_is_in_one_room():
    """Elsewhere it may be forgotten to have the new file on the disk first, or the folder after it."""
    by_hand = set()
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                replaces = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
                if replaces or node.func.attr == "rename" or called in ("os.replace", "shutil.move"):
                    by_hand.add(module)
    by_hand -= {module for module in by_hand if module.startswith("penchant.files.")}
    assert by_hand == {"penchant.models.matmul"}, "a cache in which the first to finish decides"


PUBLIC_ROOMS = {f"penchant.{name}" for name in ("data", "objectives", "ranking", "lab", "feedback", "rounds", "life")}
"""Rooms that `penchant.__doc__` names as public, each with names of its own."""
TAKEN_BESIDE_THE_INTERFACE = {
    "": "extras launching machine plugins process progress ranks reading serving studies versions wording",
    "data": "prompt_sets",
    "evaluation": "judges.instructions sample_lines results_in_words sampling_options talk_options talking",
    "feedback": "summary",
    "files": "- place",
    "life": "catalogue",
    "models": "conversation inventory ledger numerics opening sampler starter",
    "objectives": "facts",
    "report": "agreement_text parts ranking_text result_files standings",
    "tokens": "shown",
    "training": "arguments check_text interrupt planning presets run_report settings",
}
"""By room, single files first: modules that commands still take something from; what they no longer do is taken out."""


def taken_inside() -> set[str]:
    """Modules from which commands take what is neither in `penchant.__all__` nor a name of a public room."""
    found = set()
    for module in COMMANDS:
        for source, name in imported(module):
            target = f"{source}.{name}" if f"{source}.{name}" in FILES else source
            if room_of(target) != "penchant.cli" and target != "penchant" and target not in PUBLIC_ROOMS:
                found |= set() if penchant._MODULE_OF.get(name) == source else {target}
    return found


def test_commands_take_from_inside_no_more_than_they_did():
    listed = {
        ".".join(filter(None, ("penchant", room, module.strip("-"))))
        for room, modules in TAKEN_BESIDE_THE_INTERFACE.items()
        for module in modules.split()
    }
    assert taken_inside() == listed


@pytest.mark.parametrize(
    "name",
    [
        "check",
        "convert",
        "dpo",
        "eval",
        "export",
        "frontier",
        "judge",
        "lineage",
        "pair",
        "plan",
        "rank",
        "reward",
        "rlhf",
        "sample",
        "score",
        "sft",
        "sweep",
        "verify",
    ],
)
def test_a_command_calls_the_function_of_its_name(name):
    code = COMMANDS[f"penchant.cli.{name}"].read_text(encoding="utf-8")
    assert re.search(rf"penchant\.{'evaluate' if name == 'eval' else name}\b[(,]", code)


def contract(words: str) -> dict[str, Any]:
    """The contract of pyproject.toml whose name has these words."""
    settings = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (found,) = (one for one in settings["contracts"] if words in one["name"])
    return found


def test_every_room_has_its_place_in_the_contracts():
    """Else a new room might take whatever it likes, and `lint-imports` would say nothing."""
    rooms = {f"penchant.{path.parent.name}" for path in (SOURCE / "penchant").glob("*/__init__.py")}
    layers = contract("a room stands on the rooms below it")["layers"]
    assert sorted(" | ".join(layers).split(" | ")) == sorted(rooms)
    assert set(contract("knows nothing of the shell")["source_modules"]) == rooms - {"penchant.cli"}
    without_torch = set(contract("need no torch")["source_modules"])
    without_transformers = set(contract("imported by models alone")["source_modules"])
    assert without_torch | without_transformers == rooms - {"penchant.models"}


def lines(module: str) -> int:
    return COMMANDS[module].read_text(encoding="utf-8").count("\n")


def test_a_file_of_the_shell_is_short():
    assert not {module: lines(module) for module in COMMANDS if lines(module) > 150}


def test_the_shell_is_a_thin_part_of_the_house():
    """All of the shell, what commands share included."""
    assert sum(map(lines, COMMANDS)) <= 2500
