"""docs/models.md is what happens: each family built small, loaded, and run beside plain transformers."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from penchant.errors import ConfigError, WrittenError
from penchant.models import adapters
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.merging import save_merged
from penchant.models.numerics import Numerics
from penchant.models.saving import rehearse, save_model

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
@pytest.mark.parametrize(
    "family",
    [pytest.param(f, marks=[] if f in ("llama", "falcon", "mamba", "bert") else [pytest.mark.slow]) for f in A_FEW],
)
def test_a_few_families_do_what_the_page_says(families, family):
    found = families.examine(family)
    assert found.outcome == A_FEW[family]
    assert found.row in (DOCS / "models.md").read_text(encoding="utf-8")


def load(families, family, folder):
    families.build(family).save_pretrained(folder)
    families.tokenizer().save_pretrained(folder)
    return load_model(str(folder), Numerics(torch.device("cpu"), torch.float32), chat_template="plain")


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["deepseek_v3", "got_ocr2", "gpt_neo", "mamba"])
def test_a_model_is_written_and_read_back_whatever_its_family(families, family, tmp_path):
    model = load(families, family, tmp_path / "model")
    with torch.no_grad():
        before = score_sequences(model, families.sequences())
        save_model(model, tmp_path / "again")
        assert torch.equal(score_sequences(model, families.sequences()), before)


@pytest.mark.filterwarnings("ignore")
def test_layers_that_read_a_weight_past_its_adapter_are_not_exported_as_if_they_did_not(families, tmp_path):
    model = load(families, "jamba", tmp_path / "model")
    adapters.attach(model, 4, 8.0, (), seed=0)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)), alpha=0.05)
    with pytest.raises(WrittenError, match="folding the adapter into its model changes what it computes"):
        save_merged(model, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def put_on(model):
    adapters.attach(model, 4, 8.0, (), seed=0)
    rehearse(model)


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["deepseek_v4", "laguna", "llama4_text", "mamba2", "phimoe"])
def test_a_family_on_which_peft_keeps_no_adapter_is_refused_in_one_sentence_before_it_is_trained(
    families, family, tmp_path
):
    model = load(families, family, tmp_path / "model")
    with pytest.raises(ConfigError, match=r"peft|PEFT") as caught:
        put_on(model)
    assert str(caught.value).startswith(
        ("model.lora: an adapter on a ", "model.lora.targets: left out means every linear layer")
    )
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_is_the_same_after_it_was_rehearsed(families, tmp_path):
    model = load(families, "llama", tmp_path / "model")
    adapters.attach(model, 4, 8.0, (), seed=0)
    before = {name: (p.clone(), p.requires_grad) for name, p in model.network.named_parameters()}
    state = torch.get_rng_state()
    rehearse(model)
    after = {name: (p, p.requires_grad) for name, p in model.network.named_parameters()}
    assert list(after) == list(before)
    assert all(
        torch.equal(after[name][0], p) and after[name][1] == is_trained for name, (p, is_trained) in before.items()
    )
    assert torch.equal(torch.get_rng_state(), state)


NAMES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def test_every_family_stands_on_the_page_once():
    rows = [line for line in (DOCS / "models.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert sorted(row.split(" | ")[0].removeprefix("| ") for row in rows if not row.startswith("| family |")) == NAMES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", NAMES[1::8])  # all of them take ten minutes: `make families`
def test_a_family_does_what_the_page_says(families, family):
    found = families.examine(family)
    text = (DOCS / "models.md").read_text(encoding="utf-8")
    sections = dict(zip(families.SECTIONS, text.split("\n## ")[1:], strict=True))
    assert found.row in sections[found.outcome].splitlines(), "run `make families`"
