"""docs/architecture.md and its figure are what the code gives today: rooms, arrows, and the files of three walks."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def architecture():
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow(threads=1)
def test_the_page_and_its_figure_are_what_the_script_writes(architecture, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))
    for path, text in architecture.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_the_decision_on_rooms_names_the_layers_and_the_contracts_that_are_checked(architecture):
    page = (ROOT / "docs" / "adr" / "0011-rooms-and-layers.md").read_text(encoding="utf-8")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers, contracts = (
        [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()[2:]]
        for table in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)
    )
    assert [name for name, _ in contracts] == [one["name"] for one in settings["contracts"]]
    assert [re.findall(r"`(\w+)`", rooms.split(":")[0]) for _, rooms in layers] == architecture.floors()


def test_every_file_that_the_page_names_is_there():
    named = re.findall(r"`(src/penchant/[\w/]+\.py)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 15
    assert not [file for file in named if not (ROOT / file).is_file()]


def test_an_arrow_is_drawn_where_no_longer_way_leads(architecture):
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "ground": set()}
    assert architecture.direct("a", imports) == {"b"}
    drawn = architecture.figure([["a"], ["b"], ["c"], ["ground"]], imports)
    assert drawn.count("marker-end") == 2


def test_a_walk_is_what_the_call_stack_holds_at_its_stations(architecture):
    from penchant.data.in_memory import as_source
    from penchant.data.load import load_pairs

    walk = architecture.Walk("", "", "data", (("data/importers/sides.py", "pair_of"),))
    with architecture.followed(walk) as files:
        load_pairs(as_source([{"prompt": "a", "chosen": "b", "rejected": "c"}]))
    assert files == [
        f"data/{name}.py" for name in ("load", "reading", "rows", "importers/explicit_prompt", "importers/sides")
    ]


def test_the_page_of_the_batch_names_what_runs_beside_its_path():
    page = (ROOT / "docs" / "follow-one-batch.md").read_text(encoding="utf-8")
    beside = re.findall(r"`([\w/]+\.py)`", page.partition("\nRun before this path")[2])
    assert {f"training/{name}.py" for name in ("objective", "dataset", "policies")} <= set(beside)
    assert not [file for file in beside if not (ROOT / "src" / "penchant" / file).is_file()]


@pytest.mark.slow(threads=1)
def test_the_way_from_command_to_loss_is_the_six_short_files_that_its_page_names(architecture, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    page = (ROOT / "docs" / "follow-one-batch.md").read_text(encoding="utf-8")
    named = re.findall(r"^\d\. \*\*`src/penchant/([\w/]+\.py)`\*\*", page, re.M)
    architecture.prepare(tmp_path)
    with architecture.followed(architecture.GRADIENT) as files:
        architecture.train_on_the_rows(tmp_path)
    assert files == named
    assert len(files) == 6
    assert sum(len((ROOT / "src" / "penchant" / file).read_text(encoding="utf-8").splitlines()) for file in files) < 900
