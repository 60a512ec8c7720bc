"""docs/models.md is what happens: each family built small, loaded, and run beside plain transformers."""

import importlib.util
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def families():
    spec = importlib.util.spec_from_file_location("families", DOCS / "families.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


A_FEW = {
    "llama": "shared",
    "deepseek_v3": "shared",
    "falcon": "unshared",
    "gptj": "unshared",
    "gpt_neo": "unshared",
    "minicpm3": "unshared",
    "diffllama": "unshared",
    "doge": "unshared",
    "mamba": "unshared",
    "bert": "refused",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", A_FEW)
def test_a_few_families_do_what_the_page_says(families, family):
    found = families.examine(family)
    assert found.outcome == A_FEW[family]
    assert found.row in (DOCS / "models.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_family_does_what_the_page_says(families):
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    names = sorted(families.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    found = [families.examine(family) for family in names]
    sections = dict(zip(families.SECTIONS, text.split("\n## ")[1:], strict=True))
    strays = [finding for finding in found if finding.row not in sections[finding.outcome].splitlines()]
    assert strays == [], "run `python docs/families.py`"
    assert sum(line.startswith("| ") for line in text.splitlines()) == len(names) + len(sections)
