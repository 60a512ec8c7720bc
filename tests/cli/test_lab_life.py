"""`penchant lab life`: a newborn that ordinary tools load, three stages through the ordinary code, an honest exam."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penchant.cli.lab_exam import Exam, surprisal_of_stories
from penchant.cli.lab_newborn import Anatomy, bear
from penchant.cli.lab_nursery import Nursery
from penchant.data import Message
from penchant.errors import ConfigError
from penchant.lab import Corpus
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics

CPU = choose_numerics("cpu", "float32")
TEXTS = [story.text for story in Corpus(seed=0).stories(200)]


@pytest.fixture(scope="module")
def newborn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newborn")
    assert bear(folder, TEXTS, seed=0) < 500_000
    return folder


@pytest.fixture(scope="module")
def life(penchant, tmp_path_factory):
    """A life cut short: every stage happens, none is long enough to hold the claim."""
    output = tmp_path_factory.mktemp("life")
    short = ("--set", "num_stories=160", "--set", "sft_epochs=1", "--set", "dpo_epochs=1")
    return penchant("lab", "life", *short, "--output", output), output


def test_a_newborn_is_an_ordinary_folder_with_every_weight_and_a_tokenizer_that_spells_anything(newborn):
    network, found = AutoModelForCausalLM.from_pretrained(newborn, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert network.config.tie_word_embeddings
    tokenizer = AutoTokenizer.from_pretrained(newborn)
    for text in (TEXTS[0], "\u661f and \n"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0]) / 3, "most words are one token"


def test_a_newborn_knows_nothing_and_another_seed_is_another_one(newborn, tmp_path):
    model = load_model(str(newborn), CPU)
    ids = torch.tensor([model.encoder.encode_document(TEXTS[0])])
    model.stop_sharing("the network is called directly")
    with torch.no_grad():
        entropy = torch.distributions.Categorical(logits=model.network(input_ids=ids).logits[0]).entropy()
    assert entropy.min() > 0.85 * torch.tensor(float(len(model.tokenizer))).log()
    for name, seed in (("same", 0), ("other", 1)):
        bear(tmp_path / name, TEXTS, seed=seed)
    same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("same", "other"))
    assert same == (newborn / "model.safetensors").read_bytes()
    assert other != same


def test_the_chat_template_marks_who_speaks_and_ends_an_answer(newborn):
    encoder = load_model(str(newborn), CPU).encoder
    asked = [Message(role="user", content="Why?")]
    assert encoder.prompt_text(asked) == "<|user|>Why?<|assistant|>"
    told = [*asked, Message(role="assistant", content="So."), *asked]
    assert encoder.prompt_text(told) == "<|user|>Why?<|assistant|>So.</s><|user|>Why?<|assistant|>"
    response = encoder.encode_response(asked, "So.")
    assert response[-1] in encoder.end_ids
    assert encoder.decode(response) == "So."


def test_the_anatomy_is_the_one_asked_for(tmp_path):
    bear(tmp_path, TEXTS, 0, Anatomy(vocab_size=300, hidden_size=32, num_layers=1, num_heads=2, intermediate_size=40))
    config = AutoModelForCausalLM.from_pretrained(tmp_path).config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (32, 1, 300)


def test_an_exam_counts_form_truth_and_cheer_apart():
    corpus = Corpus(seed=0)
    question, other = corpus.questions(held_out=True)[0], corpus.questions(held_out=True)[-1]
    answers = (question.answer("cheerful"), other.answer("plain"), "Eh? Have a lovely day!", "")
    exam = Exam(corpus, (question,), (answers,))
    assert [exam.share(quality).rate for quality in ("form", "fact", "cheerful")] == [0.5, 0.25, 0.5]
    assert exam.share("fact").low < 0.25 < exam.share("fact").high


def test_the_surprisal_of_stories_is_that_of_the_network_itself(newborn):
    model, stories = load_model(str(newborn), CPU), Corpus(seed=0).stories(3)
    found, num_tokens = surprisal_of_stories(model, stories)
    model.stop_sharing("the network is called directly")
    expected = count = 0
    for story in stories:
        ids = torch.tensor([model.encoder.encode_document(story.text)])
        with torch.no_grad():
            logits = model.network(input_ids=ids).logits[0, :-1]
        expected += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1
    assert found == pytest.approx(expected, rel=1e-5)
    assert num_tokens == count


def test_a_short_life_goes_through_all_stages_and_says_what_it_did_not_reach(life):
    result, output = life
    assert result.code == 1
    assert "did NOT hold" in result.out
    content = json.loads((output / "life.json").read_text())
    assert content["held"] is False
    assert len(content["figures"]) == 4
    assert len(list(output.glob("life-*.png"))) == 4
    columns = ["question", "after text", "after demonstrations", "after preferences"]
    assert [list(row) for row in content["table"]] == [columns] * 6
    assert all(text in result.err for text in ("stage 1 of 3: text", "stage 2 of 3", "stage 3 of 3: preferences"))


def test_every_stage_is_a_run_of_the_ordinary_commands_that_starts_from_the_one_before(life):
    _, output = life
    ledgers = {
        stage: json.loads((output / "life" / stage / "run.json").read_text())
        for stage in ("text", "demonstrations", "preferences")
    }
    assert [ledger["command"] for ledger in ledgers.values()] == ["sft", "sft", "dpo"]
    assert all(ledger["status"] == "finished" for ledger in ledgers.values())
    names = [ledger["config"]["model"]["name"] for ledger in ledgers.values()]
    assert [name.rsplit("/", 1)[-1] for name in names] == ["newborn", "text", "demonstrations"]


def test_people_prefer_cheerful_answers_to_others_and_any_answer_to_none(life):
    _, output = life
    votes = [json.loads(line) for line in (output / "life" / "votes.jsonl").read_text().splitlines()]
    assert votes
    for vote in votes:
        a, b = (Corpus(seed=0).liking(vote[side]["text"]) for side in "ab")
        assert vote["outcome"] == ("tie" if a == b else "a" if a > b else "b")


def test_a_model_whose_answers_people_cannot_tell_apart_is_not_trained_further(life, tmp_path, monkeypatch):
    _, output = life
    (tmp_path / "demonstrations").symlink_to(output / "life" / "demonstrations")
    monkeypatch.setattr(Corpus, "liking", lambda self, answer: 1)
    with pytest.raises(ConfigError, match="raise num_stories or sft_epochs"):
        Nursery(tmp_path, seed=0).learn_to_please(epochs=1, beta=0.1)
    assert not (tmp_path / "preferences").exists()


def test_a_folder_that_holds_something_is_refused_before_anything_is_trained(penchant, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = penchant("lab", "life", "--set", f"folder={tmp_path}")
    assert result.code == 2
    assert f"{tmp_path}: is not empty" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("setting", ["num_stories=99", "sft_epochs=0", "dpo_epochs=0", "beta=0"])
def test_an_option_out_of_range_is_refused_by_name(penchant, setting):
    result = penchant("lab", "life", "--set", setting)
    assert result.code == 2
    assert setting.partition("=")[0] in result.err


@pytest.mark.slow
def test_a_whole_life_holds_its_claim(penchant, tmp_path):
    result = penchant("lab", "life", "--output", tmp_path)
    assert result.code == 0, result.out
    assert "The claim held." in result.out
