"""A round of a real tiny model: it samples, asks, trains and measures, stops anywhere, and goes on."""

import importlib.util
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from penchant.errors import ConfigError, DataError, ModelError, OutputError, UserError
from penchant.evaluation.judges import chat_completions
from penchant.files import alone_in
from penchant.rounds import RoundInterrupted, begin, finished_stages, model_stages, run_round, table_of
from penchant.rounds.plan import Plan, find_rounds
from penchant.training.interrupt import Interrupted

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

path = Path(__file__).resolve().parents[1] / "evaluation" / "fake_endpoint.py"
spec = importlib.util.spec_from_file_location("fake_endpoint", path)
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

JUDGE = "taste_of_rounds:short"
STAGES = ("sample", "vote", "train", "answer", "compare", "report")
FILES = (
    "train.jsonl",
    "held-out.jsonl",
    "samples.jsonl",
    "votes.jsonl",
    "run/model/model.safetensors",
    "answers.jsonl",
    "verdicts.jsonl",
)
LONG = "".join(f"Tale {i}. {'Once upon a time. ' * 1000}\n" for i in range(9))
KEY = "sk-secret-0123456789"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shorter(a, b):
    return "tie" if len(a) == len(b) else "a" if len(a) < len(b) else "b"


def record(round_folder):
    found = json.loads((round_folder / "round.json").read_text(encoding="utf-8"))
    del found["finished_at"]
    return found


def contents(round_folder):
    return {name: (round_folder / name).read_bytes() for name in FILES}


def stage_under_way(folder):
    _, shown = table_of(find_rounds(folder))
    return shown[-1][3].removeprefix("under way: ")


@pytest.mark.slow(threads=1)
def test_a_round_samples_votes_trains_and_measures_on_prompts_it_did_not_train_on(wheel):
    folder = wheel / "round-1"
    assert len(rows(folder / "samples.jsonl")) == len(rows(folder / "train.jsonl")) == 7
    votes = rows(folder / "votes.jsonl")
    assert all(vote["outcome"] == shorter(vote["a"]["text"], vote["b"]["text"]) for vote in votes)
    ledger = json.loads((folder / "run" / "run.json").read_text())
    assert ledger["num_train_pairs"] == sum(vote["outcome"] in "ab" for vote in votes)
    trained, held_out = ({str(row["messages"]) for row in rows(folder / f"{n}.jsonl")} for n in ("train", "held-out"))
    assert len(held_out) == 3
    assert not trained & held_out
    assert [row["id"] for row in rows(folder / "answers.jsonl")] == [r["id"] for r in rows(folder / "held-out.jsonl")]
    assert "Win rate" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow(threads=1)
def test_the_win_rate_is_the_newer_models_by_the_judge(wheel):
    figures, wins = record(wheel / "round-1")["figures"], 0
    for row in rows(wheel / "round-1" / "verdicts.jsonl"):
        after = row["meta"]["after"]
        before = "b" if after == "a" else "a"
        wins += len(row[after]["text"]) < len(row[before]["text"])
    assert figures["win_rate"]["wins"] == wins
    assert figures["win_rate"]["low"] < figures["win_rate"]["rate"] <= figures["win_rate"]["high"] <= 1
    assert figures["mean_after"] < 0


def test_the_second_round_starts_from_what_the_first_made_with_the_same_prompts_held_out(wheel):
    first, second = (record(wheel / f"round-{n}") for n in (1, 2))
    assert second["parent"] == {"round": 1, "model": "round-1", "digest": first["model"]["digest"]}
    assert first["parent"]["round"] is None
    ledger = json.loads((wheel / "round-2" / "run" / "run.json").read_text())
    assert ledger["reference_digest"] == first["model"]["digest"]
    new, old = (rows(wheel / f"round-{n}" / "samples.jsonl")[0]["a"]["source"] for n in (2, 1))
    assert new["model"].endswith(first["model"]["digest"][:12])
    assert (old["seed"], new["seed"]) == (0, 1)
    for name in ("train.jsonl", "held-out.jsonl"):
        assert (wheel / "round-1" / name).read_bytes() == (wheel / "round-2" / name).read_bytes()


def test_the_table_shows_every_round_with_its_parent_and_its_figures(wheel):
    columns, shown = table_of(find_rounds(wheel))
    assert columns == ("round", "parent", "pairs", "win rate", "95% interval", "KL", "folder")
    for line, number, parent in zip(shown, (1, 2), ("stories260k", "round-1"), strict=True):
        found = record(wheel / f"round-{number}")
        rate, kl = found["figures"]["win_rate"], found["figures"]["kl"]
        assert line[0] == str(number)
        assert line[1].endswith(f"{parent} {found['parent']['digest'][:12]}")
        assert line[2] == str(found["counts"]["train_pairs"])
        assert line[3:5] == (f"{rate['rate']:.1%}", f"{rate['low']:.1%} to {rate['high']:.1%}")
        assert line[5:] == (f"{kl['mean']:+.3f}", str(wheel / f"round-{number}"))


@pytest.mark.slow(threads=1)
def test_progress_and_every_stage_are_reported(here, judged, listener):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_stages, "answer_held_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(RoundInterrupted, match="interrupted") as stop:
            run_round(here / "heard", **judged, reporter=listener)
    assert (stop.value.round.number, stop.value.judge, stop.value.exit_code) == (1, JUDGE, 130)
    stages = [line.split(":")[0] for line in listener.said if line.startswith("round 1, ")]
    assert stages == [f"round 1, {stage}" for stage in STAGES[:4]]
    assert listener.came["sampling"] == listener.came["judging samples.jsonl"] == (7, 7)
    assert listener.came["training"][0] == listener.came["training"][1]


@pytest.mark.slow(threads=1)
def test_a_call_that_dies_before_any_stage_is_noted_is_gone_on_with_to_the_same_files(here, judged, wheel, monkeypatch):
    folder, note, died = here / "dying", finished_stages.note_finished, []

    def dies_once(this, stage, *args, **facts):
        if stage not in died:
            died.append(stage)
            raise KeyboardInterrupt
        note(this, stage, *args, **facts)

    monkeypatch.setattr(finished_stages, "note_finished", dies_once)
    for stage in STAGES[:-1]:
        with pytest.raises(RoundInterrupted):
            run_round(folder, **judged)
        assert stage_under_way(folder) == stage
    with pytest.raises(RoundInterrupted) as last:
        run_round(folder, **judged)
    assert last.value.round.is_finished  # round.json is there
    assert died == list(STAGES)
    assert contents(folder / "round-1") == contents(wheel / "round-1")
    assert record(folder / "round-1") == record(wheel / "round-1")


@pytest.mark.slow(threads=1)
def test_a_call_that_dies_within_a_stage_is_gone_on_with_to_the_same_files(here, judged, wheel, monkeypatch, listener):
    import taste_of_rounds

    from penchant.evaluation import authors
    from penchant.training import run_folder

    folder, sample_pairs, save_model = here / "torn", authors.sample_pairs, run_folder.saving.save_model

    def two_groups(*args, **options):
        for number, group in enumerate(sample_pairs(*args, **options)):
            if number == 2:
                raise KeyboardInterrupt
            yield group

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(authors, "sample_pairs", two_groups)
    with pytest.raises(RoundInterrupted):
        run_round(folder, **judged)
    monkeypatch.setattr(authors, "sample_pairs", sample_pairs)
    taste_of_rounds.left[0] = 7
    with pytest.raises(ConfigError, match="called away"):
        run_round(folder, **judged, reporter=listener)
    taste_of_rounds.left[0] = None
    assert any("5 prompts answered (2 were there)" in line for line in listener.said)
    monkeypatch.setattr(run_folder.saving, "save_model", interrupted)
    with pytest.raises(RoundInterrupted):
        run_round(folder, **judged)
    monkeypatch.setattr(run_folder.saving, "save_model", save_model)
    taste_of_rounds.left[0] = 3
    with pytest.raises(ConfigError, match="called away"):
        run_round(folder, **judged)
    taste_of_rounds.left[0] = None
    assert run_round(folder, **judged, reporter=listener).round.is_finished
    assert "round 1, answer: done already" in listener.said
    assert contents(folder / "round-1") == contents(wheel / "round-1")


@pytest.mark.slow
def test_a_new_file_of_prompts_moves_no_prompt_to_the_other_side(here, wheel, tmp_path):
    old = (here / "prompts.txt").read_text().splitlines()
    more = tmp_path / "more.txt"
    more.write_text("\n".join([f"A tale of the {i}. ghost" for i in range(20)] + old[::-1]) + "\n")
    folder = tmp_path / "copy"
    shutil.copytree(wheel / "round-1", folder / "round-1")
    run_round(folder, prompts=str(more), judge=JUDGE)
    sides = {
        name: [{str(row["messages"]) for row in rows(folder / f"round-{n}" / f"{name}.jsonl")} for n in (1, 2)]
        for name in ("train", "held-out")
    }
    assert sides["train"][0] <= sides["train"][1]
    assert sides["held-out"][0] < sides["held-out"][1]
    assert not sides["train"][1] & sides["held-out"][1]


def test_a_prompt_stays_on_its_side_even_where_the_rule_would_move_it(tmp_path, monkeypatch):
    # among few prompts the lowest place is held out, whatever it is, and more prompts bring a lower one
    monkeypatch.setattr(begin, "model_digest", lambda run: "same")
    sides = []
    for number, num_prompts in enumerate((3, 60), start=1):
        prompts = tmp_path / f"{num_prompts}.txt"
        prompts.write_text("".join(f"Tell me of the number {i}\n" for i in range(num_prompts)))
        plan = Plan(model="m", prompts=str(prompts), judge="positivity", held_out=0.001)
        begun = begin.begin(tmp_path / "wheel", find_rounds(tmp_path / "wheel"), plan)
        (begun.path / "round.json").write_text('{"model": {"digest": "same"}}')
        sides.append({str(row["messages"]) for row in rows(begun.path / "held-out.jsonl")})
        assert begun.number == number
    assert len(sides[0]) == 1
    assert sides[0] < sides[1]  # the rule alone would hold out the new lowest place and train on the old one


@pytest.fixture(scope="module")
def under_way(here, judged):
    """A round that was stopped after its votes."""
    folder = here / "under_way"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_stages, "train_on_votes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(RoundInterrupted):
            run_round(folder, **judged)
    return folder


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.5}, "`temperature=...`: round 1 is under way with 1.0"),
        ({"settings": ["dpo.beta=0.3"]}, "settings: round 1 is under way with optimiser.learning_rate=1e-3, data.held"),
        ({"judge_model": "m"}, "`judge_model=...`: round 1 is under way without it"),
        ({"judge": "positivity"}, "`judge=...`: round 1 is under way with 'taste_of_rounds:short'"),
        ({"people": "votes"}, "`people=...`: round 1 is under way with `judge=taste_of_rounds:short`"),
        ({"seed": 3}, "`seed=...`: round 1 is under way with 0"),
        ({}, "give `judge=taste_of_rounds:short` again"),
    ],
)
def test_a_round_under_way_takes_no_other_settings(under_way, settings, words):
    with pytest.raises(ConfigError) as refused:
        run_round(under_way, **settings)
    assert words in str(refused.value)


def test_a_file_that_was_changed_after_its_stage_is_not_built_upon(under_way):
    samples = under_way / "round-1" / "samples.jsonl"
    whole = samples.read_bytes()
    samples.write_bytes(whole + b"\n")
    with pytest.raises(OutputError, match=r"samples\.jsonl: is gone or was changed after the stage 'sample'"):
        run_round(under_way, judge=JUDGE)
    samples.write_bytes(whole)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seed": 3}, "`seed=...`: the rounds here began with 0"),
        ({"held_out": 0.5}, "`held_out=...`: the rounds here began with 0.3"),
        ({"model": "smollm2-135m"}, "`model=...`: the rounds here began with"),
        ({"judge": "positivity", "people": "votes"}, "not both"),
        ({"judge": "positivity", "min_votes": 3}, "`min_votes=...` counts the answers of people"),
        ({"people": "votes", "min_votes": 0}, "min_votes must be at least 1, got 0"),
        ({"judge": "positivity", "concurrency": 3}, "concurrency"),
        ({"people": "votes", "epsilon": 3.0}, "`people=...` asks people; leave them out"),
        ({"judge": "positivity", "settings": ["model.name=other"]}, "setting model.name: a round sets this itself"),
        ({"judge": "positivity", "settings": ["model={}"]}, "setting model: a round sets this itself"),
        ({"judge": "positivity", "settings": ["dpo.bta=1"]}, "did you mean 'dpo.beta'"),
        ({"judge": "positivity", "temperature": -1.0}, "temperature must be 0 or from 1e-06 to 1e+06"),
        ({"judge": "positivity", "temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"judge": "positivity", "max_prompts": 0}, "max_prompts must be at least 1, got 0"),
        ({"judge": "ftp://x"}, "ftp"),
        ({"judge": "no_such_module:f"}, "no_such_module"),
        ({"judge": "http://127.0.0.1:9/v1"}, "is missing; name the model to ask"),
        ({"judge": "run:nowhere"}, "`judge=...`: nowhere: no such folder"),
        ({"judge": "run:wheel/round-1/run", "judge_reference": "nowhere"}, "`judge_reference=...`: nowhere: no such"),
        ({"judge": "positivity", "settings": ["dpo.objective=dop"]}, "there is no objective 'dop'"),
        ({"judge": "positivity", "device": "tpu"}, "device must be one of auto, cpu, cuda, mps, got 'tpu'"),
        ({"judge": "positivity", "dtype": "float8"}, "dtype must be one of auto, float32, bfloat16, got 'float8'"),
        ({"judge": "positivity", "chat_template": "other"}, "`chat_template=...`: the rounds here began with 'plain'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_round_begins(wheel, listener, settings, words):
    with pytest.raises(UserError) as refused:
        run_round(wheel, **settings, reporter=listener)
    assert words in str(refused.value)
    assert not [line for line in listener.said if "sample:" in line]
    assert not (wheel / "round-3").exists()


def test_a_setting_that_there_is_not_is_a_mistake_of_the_program(wheel):
    with pytest.raises(TypeError, match="unexpected keyword argument 'temprature'"):
        run_round(wheel, judge="positivity", temprature=1.0)


def test_a_share_of_held_out_prompts_that_leaves_none_is_refused(tmp_path, judged):
    with pytest.raises(ConfigError, match=r"held_out must be from 0\.01 to 0\.99, got 1\.5"):
        run_round(tmp_path / "new", **judged | {"held_out": 1.5})


def test_a_folder_of_something_else_is_refused(tmp_path, judged):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds notes\.txt and no rounds"):
        run_round(tmp_path, **judged)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "other" / "round-1").mkdir(parents=True)
    (tmp_path / "other" / "round-1" / "thesis.doc").write_text("mine")
    with pytest.raises(OutputError, match=r"holds thesis\.doc but no plan\.json"):
        run_round(tmp_path / "other", **judged)


def test_the_first_round_says_what_it_needs(tmp_path):
    with pytest.raises(ConfigError, match=r"`model=\.\.\.` is missing: the first round needs a model"):
        run_round(tmp_path / "new")
    with pytest.raises(ConfigError, match="say who answers"):
        run_round(tmp_path / "new", model="x", prompts="y")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "words", "is_begun"),
    [
        ({"model": "nowhere"}, "`model=...`: nowhere: no such folder", False),
        ({"chat_template": "nowhere.jinja"}, "must be 'plain' or a readable Jinja file", False),
        ({"model": "config_only"}, "holds no tokenizer", True),
        ({"prompts": "long.txt"}, "tokens leave no room", True),
    ],
)
def test_a_first_round_that_is_refused_leaves_nothing_in_the_way(
    here, judged, stories260k, listener, settings, words, is_begun
):
    (here / "long.txt").write_text(LONG)
    (here / "config_only").mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(stories260k / name, here / "config_only")
    with pytest.raises(UserError) as refused:
        run_round(here / "refused", **judged | settings, reporter=listener)
    assert words in str(refused.value)
    assert any("sample:" in line for line in listener.said) is is_begun
    assert not (here / "refused").exists()


def test_a_later_round_that_is_refused_before_it_sampled_is_taken_back_alone(wheel, tmp_path, listener):
    shutil.copytree(wheel, tmp_path / "copy")
    (tmp_path / "long.txt").write_text(LONG)
    with pytest.raises(UserError, match="leave no room"):
        run_round(tmp_path / "copy", prompts=str(tmp_path / "long.txt"), judge="positivity", reporter=listener)
    assert any(line.startswith("round 3, sample:") for line in listener.said)
    assert not (tmp_path / "copy" / "round-3").exists()
    assert record(tmp_path / "copy" / "round-2") == record(wheel / "round-2")


@pytest.mark.slow(threads=1)
def test_a_round_that_has_sampled_stays_whatever_is_refused_then(here, judged, monkeypatch):
    from penchant.evaluation import authors

    sample_pairs = authors.sample_pairs

    def two_groups(*args, **options):
        for number, group in enumerate(sample_pairs(*args, **options)):
            if number == 2:
                raise DataError("no more")
            yield group

    monkeypatch.setattr(authors, "sample_pairs", two_groups)
    for num_found in (2, 4):
        with pytest.raises(DataError, match="no more"):
            run_round(here / "kept", **judged)
        assert len(rows(here / "kept" / "round-1" / "samples.jsonl")) == num_found


def test_two_calls_do_not_work_in_one_folder_at_once(wheel):
    with (
        alone_in(wheel, "`penchant round`"),
        pytest.raises(OutputError, match="another `penchant round` is at work in this folder"),
    ):
        run_round(wheel, judge="positivity")
    assert not (wheel / "round-3").exists()


def test_a_model_that_changed_since_its_round_is_not_gone_on_from(wheel, tmp_path):
    shutil.copytree(wheel, tmp_path / "copy")
    first, second = (tmp_path / "copy" / name / "run" for name in ("round-1", "round-2"))
    (second / "model" / "model.safetensors").write_bytes((first / "model" / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"model\.safetensors has changed since the run wrote it"):
        run_round(tmp_path / "copy", judge="positivity")
    shutil.rmtree(second)
    shutil.copytree(first, second)  # a whole run in the place of another
    with pytest.raises(ModelError, match="is not the one that round 2 made"):
        run_round(tmp_path / "copy", judge="positivity")


def test_votes_that_prefer_nothing_say_so_instead_of_training(tmp_path, asked, monkeypatch, listener):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)
    with (
        fake.fake_endpoint(lambda body: "FIRST") as server,
        pytest.raises(DataError, match="no answer prefers a side, "),
    ):
        run_round(tmp_path / "new", **asked, judge=server.base, judge_model="m", reporter=listener)
    assert any("position bias 100.0%" in line for line in listener.said)


def test_votes_that_could_not_be_read_are_counted_where_nothing_is_left_to_train_on(tmp_path, asked):
    replies = iter(["TIE", "TIE"])
    with (
        fake.fake_endpoint(lambda body: next(replies, "I cannot say.")) as server,
        pytest.raises(DataError, match=r"prefers a side \(6 of 7 could not be read\), so"),
    ):
        run_round(tmp_path / "new", **asked, judge=server.base, judge_model="m")


@pytest.mark.slow(threads=1)
def test_stopped_while_training_it_says_in_which_round_and_what_the_next_call_must_name(tmp_path, judged, monkeypatch):
    from penchant.training import loop

    take_step = loop.Loop._take_step

    def stopped_at_the_second(self, batch, stop):
        stop.signal_number = signal.SIGTERM if self.step == 1 else None
        take_step(self, batch, stop)

    monkeypatch.setattr(loop.Loop, "_take_step", stopped_at_the_second)
    settings = [*judged["settings"], "optimiser.batch_size=1", "optimiser.epochs=3"]
    with pytest.raises(Interrupted, match=r"^stopped after step 1 of \d+, saved$") as stop:
        run_round(tmp_path / "wheel", **judged | {"settings": settings})
    assert stop.value.exit_code == 128 + signal.SIGTERM
    assert (stop.value.round.path, stop.value.judge) == (tmp_path / "wheel" / "round-1", JUDGE)


@pytest.mark.slow
def test_an_endpoint_judges_a_round_and_its_key_is_in_no_file(tmp_path, asked, monkeypatch, listener):
    monkeypatch.setenv("PENCHANT_JUDGE_KEY", KEY)
    folder = tmp_path / "new"
    with fake.fake_endpoint(fake.shorter) as server:
        assert run_round(folder, **asked, judge=server.base, judge_model="m", reporter=listener).round.is_finished
        assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert os.environ["PENCHANT_JUDGE_KEY"] == KEY
    counts = record(folder / "round-1")["counts"]["votes"]
    assert counts["position_bias"]["rate"] == 0.0
    assert KEY not in "".join(listener.said)
    assert not [file for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


@pytest.mark.slow
def test_an_adapter_is_trained_further_in_the_next_round(tmp_path, judged):
    folder = tmp_path / "lora"
    lora = judged | {"settings": [*judged["settings"], "model.lora={rank: 2}"]}
    for settings in (lora, {"judge": JUDGE}):
        assert run_round(folder, **settings).round.is_finished
    first, second = (record(folder / f"round-{n}") for n in (1, 2))
    assert second["parent"]["digest"] == first["model"]["digest"] != second["model"]["digest"]
    assert (folder / "round-2" / "run" / "model" / "adapter_model.safetensors").is_file()
    with pytest.raises(ConfigError, match="round 2 made an adapter"):
        run_round(folder, judge=JUDGE, settings=["model.lora.rank=4"])
    with pytest.raises(ConfigError, match="is an adapter already"):
        run_round(tmp_path / "again", **lora | {"model": str(folder / "round-2" / "run")})


def test_the_example_of_the_docs_prints_what_every_round_gained(example):
    folder, printed = example
    lines = printed.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        rate = record(folder / f"round-{number}")["figures"]["win_rate"]["rate"]
        assert line.startswith(f"{folder / f'round-{number}'}: {rate:.1%} (95% interval ")
