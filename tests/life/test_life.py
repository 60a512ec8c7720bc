"""The life of a model: one that ordinary tools load, three stages through the ordinary code, an honest exam."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penchant.data import Message
from penchant.errors import ConfigError, OutputError
from penchant.lab import Corpus
from penchant.life import life
from penchant.life.exam import Exam, surprisal_of_stories
from penchant.life.experiment import checks_of
from penchant.life.stages import Life
from penchant.life.untrained import ModelSize, write_untrained_model
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.progress import Silent
from penchant.ranking.winrate import paired_means

CPU = choose_numerics("cpu", "float32")
TEXTS = [story.text for story in Corpus(seed=0).stories(200)]


class Listener(Silent):
    """Remembers what was said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    assert write_untrained_model(folder, TEXTS, seed=0) < 500_000
    return folder


@pytest.fixture(scope="module")
def short_life(tmp_path_factory):
    """A life cut short: every stage happens, none is long enough to hold the claim."""
    folder, listener = tmp_path_factory.mktemp("life"), Listener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        result = life(num_stories=160, sft_epochs=1, dpo_epochs=1, folder=str(folder), reporter=listener)
    return result, folder, listener.said


def test_an_untrained_model_is_an_ordinary_folder_with_every_weight_and_a_tokenizer_that_spells_anything(untrained):
    network, found = AutoModelForCausalLM.from_pretrained(untrained, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert network.config.tie_word_embeddings
    tokenizer = AutoTokenizer.from_pretrained(untrained)
    for text in (TEXTS[0], "\u661f and \n"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0]) / 3, "most words are one token"


def test_an_untrained_model_knows_nothing_and_another_seed_is_another_one(untrained, tmp_path):
    model = load_model(str(untrained), CPU)
    ids = torch.tensor([model.encoder.encode_document(TEXTS[0])])
    model.stop_sharing("the network is called directly")
    with torch.no_grad():
        entropy = torch.distributions.Categorical(logits=model.network(input_ids=ids).logits[0]).entropy()
    assert entropy.min() > 0.85 * torch.tensor(float(len(model.tokenizer))).log()
    for name, seed in (("same", 0), ("other", 1)):
        write_untrained_model(tmp_path / name, TEXTS, seed=seed)
    same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("same", "other"))
    assert same == (untrained / "model.safetensors").read_bytes()
    assert other != same


def test_the_chat_template_marks_who_speaks_and_ends_an_answer(untrained):
    encoder = load_model(str(untrained), CPU).encoder
    asked = [Message(role="user", content="Why?")]
    assert encoder.prompt_text(asked) == "<|user|>Why?<|assistant|>"
    told = [*asked, Message(role="assistant", content="So."), *asked]
    assert encoder.prompt_text(told) == "<|user|>Why?<|assistant|>So.</s><|user|>Why?<|assistant|>"
    response = encoder.encode_response(asked, "So.")
    assert response[-1] in encoder.end_ids
    assert encoder.decode(response) == "So."


def test_the_size_is_the_one_asked_for(tmp_path):
    size = ModelSize(vocab_size=300, hidden_size=32, num_layers=1, num_heads=2, intermediate_size=40)
    write_untrained_model(tmp_path, TEXTS, 0, size)
    config = AutoModelForCausalLM.from_pretrained(tmp_path).config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (32, 1, 300)


def test_an_exam_counts_form_truth_and_cheer_apart():
    corpus = Corpus(seed=0)
    question, other = corpus.questions(held_out=True)[0], corpus.questions(held_out=True)[-1]
    answers = (question.answer("cheerful"), other.answer("plain"), "Eh? Have a lovely day!", "")
    exam = Exam(corpus, (question,), (answers,))
    assert [exam.share(quality).rate for quality in ("form", "fact", "cheerful")] == [0.5, 0.25, 0.5]
    assert exam.share("fact").low < 0.25 < exam.share("fact").high


def test_the_shares_of_an_exam_are_as_sure_as_the_number_of_facts_allows():
    """However many answers to a question are alike, they tell of one fact."""
    corpus = Corpus(seed=0)
    questions = corpus.questions(held_out=True)
    answers = tuple((question.answer("plain"),) * 8 for question in questions)
    knows_all = Exam(corpus, tuple(questions), answers).share("fact")
    known = {fact: fact is not questions[0].fact for fact in corpus.held_out_facts}
    answers = tuple((question.answer("plain") if known[question.fact] else "Eh?",) * 8 for question in questions)
    exam = Exam(corpus, tuple(questions), answers)
    assert knows_all.rate == 1
    assert exam.share("fact").rate == pytest.approx(6 / 7)
    assert exam.share("fact").high - exam.share("fact").low > 0.4, "an answer more or less of seven"
    change = exam.change("cheerful", exam)
    assert (change.difference, change.num_prompts) == (0, 7)


def test_the_surprisal_of_stories_is_that_of_the_network_itself(untrained):
    model, stories = load_model(str(untrained), CPU), Corpus(seed=0).stories(3)
    found, num_tokens = surprisal_of_stories(model, stories)
    model.stop_sharing("the network is called directly")
    expected = count = 0
    for story in stories:
        ids = torch.tensor([model.encoder.encode_document(story.text)])
        with torch.no_grad():
            logits = model.network(input_ids=ids).logits[0, :-1]
        expected += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1
    assert sum(found) == pytest.approx(expected, rel=1e-5)
    assert num_tokens == count


@pytest.mark.slow
@pytest.mark.slow(threads=1)
def test_a_short_life_goes_through_all_stages_and_says_what_it_did_not_reach(short_life):
    result, _, said = short_life
    assert not result.held
    assert len(result.figures) == 4
    columns = ["question", "after text", "after demonstrations", "after preferences"]
    assert [list(row) for row in result.table] == [columns] * 6
    stages = [line for line in said if line.startswith("stage ")]
    assert stages == ["stage 1 of 3: text", "stage 2 of 3: demonstrations", "stage 3 of 3: preferences"]


@pytest.mark.slow(threads=1)
def test_every_stage_is_a_run_of_the_ordinary_commands_that_starts_from_the_one_before(short_life):
    _, folder, _ = short_life
    ledgers = {
        stage: json.loads((folder / stage / "run.json").read_text())
        for stage in ("text", "demonstrations", "preferences")
    }
    assert [ledger["command"] for ledger in ledgers.values()] == ["sft", "sft", "dpo"]
    assert all(ledger["status"] == "finished" for ledger in ledgers.values())
    names = [ledger["config"]["model"]["name"] for ledger in ledgers.values()]
    assert [name.rsplit("/", 1)[-1] for name in names] == ["newborn", "text", "demonstrations"]


@pytest.mark.slow(threads=1)
def test_cheerful_answers_are_preferred_to_others_and_any_answer_to_none(short_life):
    _, folder, _ = short_life
    votes = [json.loads(line) for line in (folder / "votes.jsonl").read_text().splitlines()]
    assert votes
    corpus = Corpus(seed=0)
    for vote in votes:
        a, b = (corpus.liking(vote[side]["text"]) for side in "ab")
        assert vote["outcome"] == ("tie" if a == b else "a" if a > b else "b")


@pytest.mark.slow(threads=1)
def test_a_model_whose_answers_cannot_be_told_apart_is_not_trained_further(short_life, tmp_path, monkeypatch):
    _, folder, _ = short_life
    (tmp_path / "demonstrations").symlink_to(folder / "demonstrations")
    monkeypatch.setattr(Corpus, "liking", lambda self, answer: 1)
    with pytest.raises(ConfigError, match="raise num_stories or sft_epochs"):
        Life(tmp_path, 0, Silent()).train_on_preferences(epochs=1, beta=0.1)
    assert not (tmp_path / "preferences").exists()


def test_a_folder_that_holds_something_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty; choose another folder"):
        life(folder=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("option", [{"num_stories": 99}, {"sft_epochs": 0}, {"dpo_epochs": 0}, {"beta": 0.0}])
def test_an_option_out_of_range_is_refused_by_name(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        life(**option)


def exam_with(num_formed, num_cheerful, about=0):
    """168 answers to questions on seven facts, of which so many have the form and so many of these are cheerful.

    about: they are right answers to the question so many places further on.
    """
    corpus = Corpus(seed=0)
    questions = corpus.questions(held_out=True)
    texts = [questions[(i + about) % 21].answer("cheerful" if i < num_cheerful else "plain") for i in range(num_formed)]
    texts += ["Eh?"] * (168 - num_formed)
    return Exam(corpus, tuple(questions), tuple(tuple(texts[q::21]) for q in range(21)))


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        ((157, 46), (149, 139), []),
        ((157, 46), (92, 90), ["preferences bring more cheer than they cost form, beyond both intervals"]),
        (
            (157, 46),
            (157, 46),
            [
                "after preferences more answers are cheerful",
                "preferences bring more cheer than they cost form, beyond both intervals",
            ],
        ),
        ((156, 47), (124, 124), []),
        (
            (45, 10),
            (45, 45),
            [
                "demonstrations bring 25% of its answers or more into the form shown",
                "its answers are true more often than guesses are, though none of these facts was demonstrated",
                "preferences bring more cheer than they cost form, beyond both intervals",  # 10 points, by 17
            ],
        ),
        (
            (157, 46, 3),
            (149, 139, 3),
            ["its answers are true more often than guesses are, though none of these facts was demonstrated"],
        ),
    ],
    ids=[
        "eight answers fewer",
        "two in five lost",
        "no more cheer",
        "one in five lost and much won",
        "no answers learnt",
        "answers to other questions",
    ],
)
def test_a_claim_fails_where_its_interval_does_and_not_by_the_chance_of_a_few_answers(tmp_path, before, after, broken):
    found = Life(tmp_path, 0, Silent())
    found.exams = {"text": exam_with(0, 0), "demonstrations": exam_with(*before), "preferences": exam_with(*after)}
    found.nats = {"model": 0.338, "frequencies": 3.9, "grammar": 0.336}
    found.excess = paired_means([20.0, 21.0, 22.0], [20.1, 21.2, 22.1])
    assert [claim for claim, held in checks_of(found).items() if not held] == broken


@pytest.mark.slow
def test_a_whole_life_holds_its_claim(tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))
    result = life(seed=4)  # where it failed once, by one answer
    assert result.held, result.checks
