"""Reward models beside transformers: what is written is loaded there, and gives the same score for the same text."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from penchant.errors import ModelError
from penchant.models import adapters
from penchant.models.load import load_model
from penchant.models.merging import save_merged
from penchant.models.numerics import Numerics
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.models.reward_forward import rewards_of, rewards_of_sequences
from penchant.models.reward_model import reward_model_of
from penchant.models.saving import save_model
from penchant.tokens import TokenSequence

CPU = Numerics(torch.device("cpu"), torch.float32)
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def families():
    spec = importlib.util.spec_from_file_location("families", DOCS / "families.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def build(families, family, folder, **config):
    network = families.build(family)
    if config:
        for name, value in config.items():
            setattr(network.config, name, value)
        network.tie_weights()
    network.save_pretrained(folder)
    families.tokenizer().save_pretrained(folder)
    return load_model(str(folder), CPU, chat_template="plain")


def moved(model, scale=0.3):
    """The reward model with a head, and an adapter, that say something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if "score" in name or "lora_" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)
    return model


def theirs(network, sequences):
    """Scores of a padded batch by transformers' own class."""
    pad = network.config.get_text_config().pad_token_id
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.from_numpy(sequence.ids)
        mask[row, : len(sequence)] = 1
    with torch.no_grad():
        return network.eval()(input_ids=ids, attention_mask=mask).logits[:, 0]


SHARED = ("llama", "qwen2", "qwen3", "gemma", "mistral", "phi3", "gemma3_text", "olmo2", "smollm3", "gpt2")
ALONE = ("gemma2", "gpt_neo", "falcon")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "family",
    [pytest.param(f, marks=[] if f in ("llama", "qwen3", "gpt2") else [pytest.mark.slow]) for f in (*SHARED, *ALONE)],
)
def test_what_is_written_is_loaded_by_transformers_and_gives_the_same_scores(families, family, tmp_path):
    model = moved(reward_model_of(build(families, family, tmp_path / "base")))
    sequences = families.sequences()
    with torch.no_grad():
        ours = rewards_of_sequences(model, sequences)
        save_model(model, tmp_path / "reward")
        again = rewards_of_sequences(load_reward_model(str(tmp_path / "reward"), CPU), sequences)
    assert model.shares == (family in SHARED)
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward", dtype=torch.float32)
    assert network.config.num_labels == 1
    assert torch.equal(ours, again)
    assert torch.allclose(ours, theirs(network, sequences), atol=2e-4 * float(ours.abs().max()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tied", [True, False])
def test_a_head_over_the_vocabulary_is_left_behind_whether_or_not_it_was_the_embedding(families, tied, tmp_path):
    base = build(families, "llama", tmp_path / "base", tie_word_embeddings=tied)
    save_model(moved(reward_model_of(base)), tmp_path / "reward")
    held = load_file(tmp_path / "reward" / "model.safetensors")
    assert "score.weight" in held
    assert "lm_head.weight" not in held
    assert load_reward_model(str(tmp_path / "reward"), CPU).shares


@pytest.mark.slow(threads=1)
def test_text_of_the_template_gives_the_score_that_transformers_gives_it(stories260k, tmp_path):
    """A template that writes a line break behind its turns: the whole text counts, as for whoever renders it."""
    template = tmp_path / "template.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        encoding="utf-8",
    )
    base = load_model(str(stories260k), CPU, chat_template=template.read_text(encoding="utf-8"))
    model = moved(reward_model_of(base))
    save_model(model, tmp_path / "reward")
    model = load_reward_model(str(tmp_path / "reward"), CPU)
    from penchant.data import Message

    prompt = [Message(role="user", content="Who is there?")]
    ids = [*model.encoder.encode_prompt(prompt), *model.encoder.encode_response(prompt, "A dog.")]
    with torch.no_grad():
        (ours,) = rewards_of_sequences(model, [TokenSequence.of(ids[:3], ids[3:])])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "reward")
    asked = [{"role": "user", "content": "Who is there?"}, {"role": "assistant", "content": "A dog."}]
    text = tokenizer.apply_chat_template(asked, tokenize=False)
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward").eval()
    inputs = tokenizer([text, text + text], return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.no_grad():
        logits = network(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    assert float(ours) == pytest.approx(float(logits[0, 0]), abs=1e-4)


def test_padding_is_a_token_with_which_no_text_ends(stories260k):
    model = reward_model_of(load_model(str(stories260k), CPU, chat_template="plain"))
    assert model.pad_id not in model.encoder.end_ids
    assert model.tokenizer.pad_token_id == model.pad_id == model.network.config.pad_token_id


@pytest.mark.filterwarnings("ignore")
def test_a_model_from_elsewhere_whose_texts_end_with_padding_is_read_where_transformers_reads_it(families, tmp_path):
    model = moved(reward_model_of(build(families, "llama", tmp_path / "base")))
    model.network.config.pad_token_id = 1  # the end of a text, as many have it
    save_model(model, tmp_path / "reward")
    model = load_reward_model(str(tmp_path / "reward"), CPU, chat_template="plain")
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward")
    ended = [TokenSequence.of([5, 6, 7, 8], [9, 10, 1]), TokenSequence.of([5, 6, 7, 8], [9, 1, 1])]
    with torch.no_grad():
        ours = rewards_of_sequences(model, ended)
    assert torch.allclose(ours, theirs(network, ended), atol=1e-4)


@pytest.mark.slow(threads=1)
def test_what_texts_share_is_run_once_and_changes_no_reward_and_no_gradient(stories260k):
    model = moved(reward_model_of(load_model(str(stories260k), CPU, chat_template="plain")))
    prompt = list(range(5, 45))
    sequences = [TokenSequence.of(prompt, [50 + i, 60, 2]) for i in range(4)]
    before = model.num_tokens_run
    together = rewards_of_sequences(model, [*sequences, sequences[0]])
    assert model.num_tokens_run - before == 40 + 4 * 3
    together.square().sum().backward()
    shared = {name: p.grad.clone() for name, p in model.network.named_parameters()}
    model.network.zero_grad()
    alone = torch.stack([rewards_of_sequences(model, [one])[0] for one in (*sequences, sequences[0])])
    alone.square().sum().backward()
    assert torch.allclose(together, alone, atol=1e-4)
    for name, parameter in model.network.named_parameters():
        assert torch.allclose(shared[name], parameter.grad, atol=1e-3 * float(parameter.grad.abs().max())), name
    assert rewards_of(model, [sequences[:2], sequences[2:]]) == [
        pytest.approx(together[:2].tolist(), abs=1e-4),
        pytest.approx(together[2:4].tolist(), abs=1e-4),
    ]


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_with_its_head_is_written_read_by_peft_and_folded_in(stories260k, tmp_path):
    from peft import AutoPeftModelForSequenceClassification

    model = reward_model_of(load_model(str(stories260k), CPU, chat_template="plain"))
    adapters.attach(model, 4, 8.0, (), seed=0)
    moved(model, 0.1)
    sequences = [TokenSequence.of([5, 6, 7], [8, 9, 2]), TokenSequence.of([5, 6, 7], [10, 11, 12, 2])]
    with torch.no_grad():
        ours = rewards_of_sequences(model, sequences)
        save_model(model, tmp_path / "adapter")
        again = rewards_of_sequences(load_reward_model(str(tmp_path / "adapter"), CPU), sequences)
        by_peft = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter", num_labels=1)
        by_peft.config.pad_token_id = model.pad_id
        assert torch.equal(ours, again)
        assert torch.allclose(ours, theirs(by_peft, sequences), atol=1e-4)
        save_merged(load_reward_model(str(tmp_path / "adapter"), CPU, share=False), tmp_path / "merged")
        merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
        assert torch.allclose(ours, theirs(merged, sequences), atol=1e-4)
    assert not adapters.is_adapted(merged.score)


@pytest.fixture
def reward_folder(stories260k, tmp_path):
    save_model(reward_model_of(load_model(str(stories260k), CPU, chat_template="plain")), tmp_path / "reward")
    return tmp_path / "reward"


def test_a_folder_without_its_head_is_refused_in_one_sentence(reward_folder):
    file = reward_folder / "model.safetensors"
    save_file({k: v for k, v in load_file(file).items() if k != "score.weight"}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"is a reward model without its head \(its files hold no score.weight\)"):
        load_reward_model(str(reward_folder), CPU)


def test_a_head_of_several_numbers_is_no_reward(reward_folder):
    file, config = reward_folder / "model.safetensors", reward_folder / "config.json"
    tensors = load_file(file)
    save_file(tensors | {"score.weight": torch.zeros(3, tensors["score.weight"].shape[1])}, file, {"format": "pt"})
    labels = {"id2label": {str(i): str(i) for i in range(3)}, "label2id": {str(i): i for i in range(3)}}
    config.write_text(json.dumps(json.loads(config.read_text()) | labels), encoding="utf-8")
    with pytest.raises(ModelError, match="its head gives 3 numbers for a text, and a reward is one"):
        load_reward_model(str(reward_folder), CPU)


def test_a_language_model_is_no_reward_model_and_a_reward_model_no_language_model(reward_folder, stories260k):
    assert names_reward_model(str(reward_folder))
    assert not names_reward_model(str(stories260k))
    with pytest.raises(ModelError, match="is not a reward model, as it has no head that gives one number for a text"):
        load_reward_model(str(stories260k), CPU)
    with pytest.raises(ModelError, match="is a reward model, which scores texts and writes none"):
        load_model(str(reward_folder), CPU)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "words"), [("mamba", "transformers has no text classifier")])
def test_a_family_without_such_a_class_is_refused(families, family, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        reward_model_of(build(families, family, tmp_path / "base"))


@pytest.mark.filterwarnings("ignore")
def test_an_encoder_is_refused(families, tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertForSequenceClassification(BertConfig(vocab_size=96, num_labels=1, **sizes)).save_pretrained(tmp_path)
    families.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has no linear head called score over a model that reads from left to right"):
        load_reward_model(str(tmp_path), CPU, chat_template="plain")


def test_a_folder_moves_with_what_it_needs(reward_folder, tmp_path):
    shutil.copytree(reward_folder, tmp_path / "elsewhere")
    assert load_reward_model(str(tmp_path / "elsewhere"), CPU).encoder.template
