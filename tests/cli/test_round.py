"""`penchant round`: the wheel turns on a real tiny model, stops anywhere, goes on, and remembers where it came from."""

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from penchant.cli import round_begin, round_marks, round_stages
from penchant.cli.round_plan import Plan, find_rounds
from penchant.data import Comparison
from penchant.errors import DataError
from penchant.evaluation.judges import chat_completions
from penchant.files.lock import alone_in

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

path = Path(__file__).resolve().parents[1] / "evaluation" / "fake_endpoint.py"
spec = importlib.util.spec_from_file_location("fake_endpoint", path)
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

ANIMALS = ("cat", "dog", "bird", "fish", "bear", "frog", "cow", "fox", "hen", "pig")
STAGES = ("sample", "vote", "train", "answer", "compare", "report")
FILES = (
    "train.jsonl",
    "held-out.jsonl",
    "samples.jsonl",
    "votes.jsonl",
    "run/model/model.safetensors",
    "answers.jsonl",
)
FILES += ("verdicts.jsonl",)
LONG = "".join(f"Tale {i}. {'Once upon a time. ' * 1000}\n" for i in range(9))
KEY = "sk-secret-0123456789"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with prompts and a judge of the user's own, who may be told to break off."""
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "prompts.txt").write_text("".join(f"Once there was a {one} who liked\n" for one in ANIMALS))
    source = """
import os, time
left = [None]
def short(prompt, response):
    if left[0] is not None:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("called away")
    time.sleep(float(os.environ.get("SLOW_TASTE", 0)))
    return -len(response)
"""
    (folder / "taste_of_rounds.py").write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def arguments(here, stories260k):
    model = ["--model", str(stories260k), "--chat-template", "plain", "--prompts", str(here / "prompts.txt")]
    settings = ("optimiser.learning_rate=1e-3", "data.held_out=0", "save.num_samples=0")
    return [*model, "--max-new-tokens", "8", "--held-out", "0.3", *(w for one in settings for w in ("--set", one))]


@pytest.fixture(scope="module")
def judged(arguments):
    return [*arguments, "--judge", "taste_of_rounds:short"]


@pytest.fixture(scope="module")
def wheel(penchant, here, judged):
    """Two rounds, turned without a stop; the tests that use it only read."""
    folder = here / "wheel"
    for more in (judged, ["--judge", "taste_of_rounds:short"]):
        result = penchant("round", folder, *more)
        assert result.code == 0, result.err
    return folder


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


def test_the_kl_is_that_of_penchant_eval_on_the_same_prompts(penchant, wheel):
    run, prompts = wheel / "round-2" / "run", wheel / "round-2" / "held-out.jsonl"
    options = ["--judge", "taste_of_rounds:short", "--max-new-tokens", "8", "--seed", "1"]
    result = penchant("eval", run, "--prompts", prompts, *options)
    assert result.code == 0, result.err
    comparison, figures = json.loads((run / "comparison.json").read_text()), record(wheel / "round-2")["figures"]
    assert figures["kl"]["mean"] == pytest.approx(comparison["kl"]["mean"], abs=1e-4)
    for name in ("win_rate", "mean_before", "mean_after"):
        assert figures[name] == pytest.approx(comparison[name])


def test_the_list_shows_rounds_and_lineage(penchant, wheel):
    result = penchant("round", wheel, "--list")
    assert result.code == 0, result.err
    head, first, second = result.out.splitlines()
    assert head.split() == ["round", "parent", "pairs", "win", "rate", "95%", "interval", "KL", "folder"]
    one, two = (record(wheel / f"round-{n}") for n in (1, 2))
    for line, found, parent in ((first, one, "stories260k"), (second, two, "round-1")):
        assert f"{parent} {found['parent']['digest'][:12]}" in line
        assert f"{found['figures']['win_rate']['rate']:.1%}" in line
        assert f"{found['figures']['kl']['mean']:+.3f}" in line
    assert second.endswith(str(wheel / "round-2"))


def test_a_call_that_dies_before_any_stage_is_marked_is_gone_on_with_to_the_same_files(
    penchant, here, judged, wheel, monkeypatch
):
    folder, mark, died = here / "dying", round_marks.mark, []

    def dies_once(this, stage, *args, **facts):
        if stage not in died:
            died.append(stage)
            raise KeyboardInterrupt
        mark(this, stage, *args, **facts)

    monkeypatch.setattr(round_marks, "mark", dies_once)
    for stage in STAGES[:-1]:
        assert penchant("round", folder, *judged).code == 130
        assert f"under way: {stage}" in penchant("round", folder, "--list").out
    last = penchant("round", folder, *judged)
    assert (last.code, "interrupted; the round is finished" in last.err) == (130, True)  # round.json is there
    assert died == list(STAGES)
    assert contents(folder / "round-1") == contents(wheel / "round-1")
    assert record(folder / "round-1") == record(wheel / "round-1")


def test_a_call_that_dies_within_a_stage_is_gone_on_with_to_the_same_files(penchant, here, judged, wheel, monkeypatch):
    import taste_of_rounds

    from penchant.evaluation import candidates
    from penchant.training import run

    folder, sample_pairs, save_model = here / "torn", candidates.sample_pairs, run.saving.save_model

    def two_groups(*args, **options):
        for number, group in enumerate(sample_pairs(*args, **options)):
            if number == 2:
                raise KeyboardInterrupt
            yield group

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(candidates, "sample_pairs", two_groups)
    assert penchant("round", folder, *judged).code == 130
    monkeypatch.setattr(candidates, "sample_pairs", sample_pairs)
    taste_of_rounds.left[0] = 7
    called_away = penchant("round", folder, *judged)
    taste_of_rounds.left[0] = None
    assert (called_away.code, "called away" in called_away.err) == (2, True)
    assert "5 prompts answered (2 were there)" in called_away.err
    monkeypatch.setattr(run.saving, "save_model", interrupted)
    at_the_end = penchant("round", folder, *judged)
    assert (at_the_end.code, "judging samples.jsonl 4/7" in at_the_end.err) == (130, True)
    monkeypatch.setattr(run.saving, "save_model", save_model)
    taste_of_rounds.left[0] = 3
    assert penchant("round", folder, *judged).code == 2
    taste_of_rounds.left[0] = None
    last = penchant("round", folder, *judged)
    assert last.code == 0, last.err
    assert "round 1, answer: done already" in last.err
    assert contents(folder / "round-1") == contents(wheel / "round-1")


def test_a_new_file_of_prompts_moves_no_prompt_to_the_other_side(penchant, here, wheel, judged, tmp_path):
    old = (here / "prompts.txt").read_text().splitlines()
    more = tmp_path / "more.txt"
    more.write_text("\n".join([f"A tale of the {i}. ghost" for i in range(20)] + old[::-1]) + "\n")
    folder = tmp_path / "copy"
    shutil.copytree(wheel / "round-1", folder / "round-1")
    result = penchant("round", folder, "--prompts", more, "--judge", "taste_of_rounds:short")
    assert result.code == 0, result.err
    sides = {
        name: [{str(row["messages"]) for row in rows(folder / f"round-{n}" / f"{name}.jsonl")} for n in (1, 2)]
        for name in ("train", "held-out")
    }
    assert sides["train"][0] <= sides["train"][1]
    assert sides["held-out"][0] < sides["held-out"][1]
    assert not sides["train"][1] & sides["held-out"][1]


def test_a_prompt_stays_on_its_side_even_where_the_rule_would_move_it(tmp_path, monkeypatch):
    # among few prompts the lowest place is held out, whatever it is, and more prompts bring a lower one
    monkeypatch.setattr(round_begin, "model_digest", lambda run: "same")
    sides = []
    for number, num_prompts in enumerate((3, 60), start=1):
        prompts = tmp_path / f"{num_prompts}.txt"
        prompts.write_text("".join(f"Tell me of the number {i}\n" for i in range(num_prompts)))
        plan = Plan(model="m", prompts=str(prompts), judge="positivity", held_out=0.001)
        begun = round_begin.begin(tmp_path / "wheel", find_rounds(tmp_path / "wheel"), plan)
        (begun.path / "round.json").write_text('{"model": {"digest": "same"}}')
        sides.append({str(row["messages"]) for row in rows(begun.path / "held-out.jsonl")})
        assert begun.number == number
    assert len(sides[0]) == 1
    assert sides[0] < sides[1]  # the rule alone would hold out the new lowest place and train on the old one


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--temperature", "0.5"], "--temperature: round 1 is under way with 1.0"),
        (["--set", "dpo.beta=0.3"], "--set: round 1 is under way with optimiser.learning_rate=1e-3, data.held_out=0, "),
        (["--judge-model", "m"], "--judge-model: round 1 is under way without it"),
        (["--judge", "positivity"], "--judge: round 1 is under way with 'taste_of_rounds:short'"),
        (["--people", "votes"], "--people: round 1 is under way with --judge taste_of_rounds:short"),
        (["--seed", "3"], "--seed: round 1 is under way with 0"),
        ([], "pass --judge taste_of_rounds:short again"),
    ],
)
def test_a_round_under_way_takes_no_other_settings(penchant, under_way, options, words):
    result = penchant("round", under_way, *options)
    assert (result.code, words in result.err) == (2, True), result.err


@pytest.fixture(scope="module")
def under_way(penchant, here, judged):
    """A round that was stopped after its votes."""
    folder = here / "under_way"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_stages.round_train, "train_on_votes", lambda this: (_ for _ in ()).throw(KeyboardInterrupt))
        assert penchant("round", folder, *judged).code == 130
    return folder


def test_a_file_that_was_changed_after_its_stage_is_not_built_upon(penchant, under_way):
    samples = under_way / "round-1" / "samples.jsonl"
    whole = samples.read_bytes()
    samples.write_bytes(whole + b"\n")
    result = penchant("round", under_way, "--judge", "taste_of_rounds:short")
    samples.write_bytes(whole)
    assert (result.code, "samples.jsonl: is gone or was changed after the stage 'sample'" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "3"], "--seed: the rounds here began with 0"),
        (["--held-out", "0.5"], "--held-out: the rounds here began with 0.3"),
        (["--model", "smollm2-135m"], "--model: the rounds here began with"),
        (["--judge", "positivity", "--people", "votes"], "not both"),
        (["--judge", "positivity", "--min-votes", "3"], "--min-votes counts what people answered"),
        (["--judge", "positivity", "--concurrency", "3"], "--concurrency is for an endpoint"),
        (["--people", "votes", "--epsilon", "3"], "--people asks people; leave them out"),
        (["--judge", "positivity", "--set", "model.name=other"], "--set model.name: a round gives this itself"),
        (["--judge", "positivity", "--set", "model={}"], "--set model: a round gives this itself"),
        (["--judge", "positivity", "--set", "dpo.bta=1"], "did you mean 'dpo.beta'"),
        (["--judge", "positivity", "--temperature", "-1"], "temperature is 0 or from 1e-06 to 1e+06"),
        (["--judge", "ftp://x"], "ftp"),
        (["--judge", "no_such_module:f"], "no_such_module"),
        (["--judge", "http://127.0.0.1:9/v1"], "--judge-model: an endpoint serves models by name"),
        (["--judge", "run:nowhere"], "--judge run: nowhere: no such folder"),
        (["--judge", "run:wheel/round-1/run", "--judge-reference", "nowhere"], "--judge-reference: nowhere: no such"),
        (["--judge", "positivity", "--set", "dpo.objective=dop"], "there is no objective 'dop'"),
        (["--judge", "positivity", "--device", "tpu"], "device is one of auto, cpu, cuda, mps, got 'tpu'"),
        (["--judge", "positivity", "--dtype", "float8"], "dtype is one of auto, float32, bfloat16, got 'float8'"),
        (["--judge", "positivity", "--chat-template", "other"], "--chat-template: the rounds here began with 'plain'"),
        (["--list", "--seed", "3"], "--list shows what there is"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_round_begins(penchant, wheel, options, words):
    result = penchant("round", wheel, *options)
    assert (result.code, words in result.err, "sample:" in result.err) == (2, True, False), result.err
    assert not (wheel / "round-3").exists()


def test_a_folder_of_something_else_is_refused(penchant, tmp_path, judged):
    (tmp_path / "notes.txt").write_text("mine")
    result = penchant("round", tmp_path, *judged)
    assert (result.code, "holds notes.txt and no rounds" in result.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "other" / "round-1").mkdir(parents=True)
    (tmp_path / "other" / "round-1" / "thesis.doc").write_text("mine")
    result = penchant("round", tmp_path / "other", *judged)
    assert (result.code, "holds thesis.doc but no plan.json" in result.err) == (2, True)
    assert penchant("round", tmp_path / "other", "--list").code == 2


def test_the_first_round_says_what_it_needs(penchant, tmp_path, judged):
    assert "--model: the first round needs it" in penchant("round", tmp_path / "new").err
    result = penchant("round", tmp_path / "new", "--model", "x", "--prompts", "y")
    assert "say who answers" in result.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "words", "is_begun"),
    [
        (["--model", "nowhere"], "--model: nowhere: no such folder", False),
        (["--chat-template", "nowhere.jinja"], "--chat-template is 'plain' or a readable Jinja file", False),
        (["--model", "config_only"], "holds no tokenizer", True),
        (["--prompts", "long.txt"], "tokens leave no room", True),
    ],
)
def test_a_first_round_that_is_refused_leaves_nothing_in_the_way(
    penchant, here, judged, stories260k, options, words, is_begun
):
    (here / "long.txt").write_text(LONG)
    (here / "config_only").mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(stories260k / name, here / "config_only")
    result = penchant("round", here / "refused", *judged, *options)
    assert (result.code, words in result.err, "sample:" in result.err) == (2, True, is_begun), result.err
    assert not (here / "refused").exists()


def test_a_later_round_that_is_refused_before_it_sampled_is_taken_back_alone(penchant, wheel, tmp_path):
    shutil.copytree(wheel, tmp_path / "copy")
    (tmp_path / "long.txt").write_text(LONG)
    result = penchant("round", tmp_path / "copy", "--prompts", tmp_path / "long.txt", "--judge", "positivity")
    assert (result.code, "round 3, sample:" in result.err, "leave no room" in result.err) == (2, True, True), result.err
    assert not (tmp_path / "copy" / "round-3").exists()
    assert record(tmp_path / "copy" / "round-2") == record(wheel / "round-2")


def test_a_round_that_has_sampled_stays_whatever_is_refused_then(penchant, here, judged, monkeypatch):
    from penchant.evaluation import candidates

    sample_pairs = candidates.sample_pairs

    def two_groups(*args, **options):
        for number, group in enumerate(sample_pairs(*args, **options)):
            if number == 2:
                raise DataError("no more")
            yield group

    monkeypatch.setattr(candidates, "sample_pairs", two_groups)
    for num_found in (2, 4):
        assert penchant("round", here / "kept", *judged).code == 2
        assert len(rows(here / "kept" / "round-1" / "samples.jsonl")) == num_found


def test_two_commands_do_not_work_in_one_folder_at_once(penchant, wheel):
    with alone_in(wheel, "`penchant round`"):
        result = penchant("round", wheel, "--judge", "positivity")
        assert (result.code, "another `penchant round` is at work here" in result.err) == (2, True), result.err
        assert penchant("round", wheel, "--list").code == 0
    assert not (wheel / "round-3").exists()


def test_the_list_needs_no_torch(wheel):
    source = f"""
import sys
sys.argv = ["penchant", "round", {str(wheel)!r}, "--list"]
from penchant.cli.main import main
try:
    main()
finally:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_model_that_changed_since_its_round_is_not_gone_on_from(penchant, wheel, tmp_path):
    shutil.copytree(wheel, tmp_path / "copy")
    first, second = (tmp_path / "copy" / name / "run" for name in ("round-1", "round-2"))
    (second / "model" / "model.safetensors").write_bytes((first / "model" / "model.safetensors").read_bytes())
    result = penchant("round", tmp_path / "copy", "--judge", "positivity")
    assert (result.code, "model.safetensors is another since the run wrote it" in result.err) == (2, True)
    shutil.rmtree(second)
    shutil.copytree(first, second)  # a whole run in the place of another
    result = penchant("round", tmp_path / "copy", "--judge", "positivity")
    assert (result.code, "is not the one that round 2 made" in result.err) == (2, True)


def test_votes_that_prefer_nothing_say_so_instead_of_training(penchant, tmp_path, arguments, monkeypatch):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)
    with fake.fake_endpoint(lambda body: "FIRST") as server:
        result = penchant("round", tmp_path / "new", *arguments, "--judge", server.base, "--judge-model", "m")
    assert (result.code, "no answer prefers a side, so" in result.err) == (2, True)
    assert "position bias 100.0%" in result.err


def test_votes_that_could_not_be_read_are_counted_where_nothing_is_left_to_train_on(penchant, tmp_path, arguments):
    replies = iter(["TIE", "TIE"])
    with fake.fake_endpoint(lambda body: next(replies, "I cannot say.")) as server:
        result = penchant("round", tmp_path / "new", *arguments, "--judge", server.base, "--judge-model", "m")
    assert (result.code, "prefers a side (6 of 7 could not be read), so" in result.err) == (2, True), result.err


@pytest.mark.parametrize("judge", ["taste_of_rounds:short", "positivity"])
def test_stopped_while_training_says_how_to_go_on(penchant, tmp_path, arguments, monkeypatch, judge):
    from penchant.training import loop

    take_step = loop.Loop._take_step

    def stopped_at_the_second(self, batch, stop):
        stop.signal_number = signal.SIGTERM if self.step == 1 else None
        take_step(self, batch, stop)

    monkeypatch.setattr(loop.Loop, "_take_step", stopped_at_the_second)
    folder = tmp_path / "a wheel"
    settings = ["--set", "optimiser.batch_size=1", "--set", "optimiser.epochs=3"]
    result = penchant("round", folder, *arguments, *settings, "--judge", judge)
    named = "" if judge == "positivity" else f" --judge {judge}"
    last = result.err.splitlines()[-1]
    assert (result.code, last.startswith("penchant: stopped after step 1 of ")) == (128 + signal.SIGTERM, True), last
    assert last.endswith(f", saved; go on with `penchant round '{folder}'{named}`")


def test_stopped_elsewhere_says_how_to_go_on(penchant, tmp_path, judged, monkeypatch):
    def interrupted(this):
        raise KeyboardInterrupt

    monkeypatch.setattr(round_stages.round_train, "sample_responses", interrupted)
    result = penchant("round", tmp_path / "wheel", *judged)
    words = f"penchant: interrupted; go on with `penchant round {tmp_path / 'wheel'} --judge taste_of_rounds:short`"
    assert (result.code, result.err.splitlines()[-1]) == (130, words)


def test_an_endpoint_judges_a_round_and_its_key_is_in_no_file(penchant, tmp_path, arguments, monkeypatch):
    monkeypatch.setenv("PENCHANT_JUDGE_KEY", KEY)
    folder = tmp_path / "new"
    with fake.fake_endpoint(fake.shorter) as server:
        result = penchant("round", folder, *arguments, "--judge", server.base, "--judge-model", "m")
        assert result.code == 0, result.err
        assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert os.environ["PENCHANT_JUDGE_KEY"] == KEY
    counts = record(folder / "round-1")["counts"]["votes"]
    assert counts["position_bias"]["rate"] == 0.0
    assert KEY not in result.out + result.err
    assert not [file for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_an_adapter_is_trained_further_in_the_next_round(penchant, tmp_path, judged):
    folder, judge = tmp_path / "lora", ["--judge", "taste_of_rounds:short"]
    assert penchant("round", folder, *judged, "--set", "model.lora={rank: 2}").code == 0
    result = penchant("round", folder, *judge)
    assert result.code == 0, result.err
    first, second = (record(folder / f"round-{n}") for n in (1, 2))
    assert second["parent"]["digest"] == first["model"]["digest"] != second["model"]["digest"]
    assert (folder / "round-2" / "run" / "model" / "adapter_model.safetensors").is_file()
    other = penchant("round", folder, *judge, "--set", "model.lora.rank=4")
    assert (other.code, "round 2 made an adapter" in other.err) == (2, True), other.err
    again = [*judged, "--model", folder / "round-2" / "run", "--set", "model.lora={rank: 2}"]
    assert "is an adapter already" in penchant("round", tmp_path / "again", *again).err


def answer_all(project, prefix, num, outcome_of):
    """Answer `num` open tasks of a project as a person would, through the store."""
    from penchant.feedback import NewAnswer, Project, Store

    with Store.open(Project.open(project)) as store:
        person = store.invite(f"anna-{uuid.uuid4()}").annotator
        for _ in range(num):
            task = store.next_assignment(person.id, seed=0)
            assert task is not None
            assert task.task_id.startswith(prefix)
            ids = {"assignment_id": task.id, "annotator_id": person.id}
            store.record(NewAnswer(key=str(uuid.uuid4()), outcome=outcome_of(task), seconds=5.0, **ids))


def test_people_answer_a_round_which_waits_and_goes_on_when_enough_is_there(penchant, tmp_path, arguments):
    folder, project = tmp_path / "asked", tmp_path / "votes of people"
    call = ["round", folder, *arguments, "--people", project]
    for _ in range(2):
        waiting = penchant(*call)
        assert waiting.code == 0, waiting.err
        assert "7 more of 7 comparisons must be answered" in waiting.err
        assert f"penchant annotate '{project}'" in waiting.err
    assert "under way: vote" in penchant("round", folder, "--list").out

    prefix = json.loads((folder / "round-1" / "plan.json").read_text())["tasks"] + "/round-1-"
    assert prefix.startswith("asked-")
    assert f"in the project they are called {prefix}" in waiting.err
    other = penchant("round", folder, "--judge", "positivity")
    assert (other.code, f"--judge: round 1 is under way with --people {project};" in other.err) == (2, True), other.err
    folder = folder.rename(tmp_path / "moved")  # keeps the names of its tasks
    call[1] = folder
    answer_all(project, prefix, 5, lambda task: shorter(task.a, task.b))
    assert "2 more of 7 comparisons" in penchant(*call).err
    assert "1 more of 7 comparisons" in penchant(*call, "--min-votes", "6").err
    compared = penchant("round", folder, "--min-votes", "5")
    assert compared.code == 0, compared.err
    assert "3 more of 3 comparisons" in compared.err
    votes = rows(folder / "round-1" / "votes.jsonl")
    assert len(votes) == 5
    for vote in votes:
        assert vote["outcome"] == shorter(vote["a"]["text"], vote["b"]["text"])
        assert sum(vote["meta"]["people"].values()) == 1
    drawn = 0
    while "must be answered" in penchant("round", folder).err:  # also the two left over are asked, in any order
        answer_all(project, prefix, 1, lambda task: "both_bad")
        drawn += 1
    assert drawn <= 5
    found = record(folder / "round-1")
    assert found["figures"]["win_rate"]["ties"] == 3
    assert found["figures"]["judge"] == "people"
    assert "mean_after" not in found["figures"]
    assert found["settings"]["min_votes"] == {"vote": 5, "compare": None}


def test_another_wheel_of_the_same_name_does_not_mix_its_answers_into_a_project(penchant, tmp_path, arguments):
    project, one, two = tmp_path / "votes", tmp_path / "one" / "wheel", tmp_path / "two" / "wheel"
    for folder in (one, two):  # with the very same comparisons
        result = penchant("round", folder, *arguments, "--people", project)
        assert (result.code, "7 more of 7 comparisons" in result.err) == (0, True), result.err
    names = {id_of.rpartition("/")[0] for id_of in task_ids(project)}
    assert (len(task_ids(project)), len(names)) == (14, 2)
    answer_all(project, "wheel-", 1, lambda task: "a")
    missing = [int(penchant("round", folder).err.split("more of 7")[0].split()[-1]) for folder in (one, two)]
    assert sorted(missing) == [6, 7]


def test_a_round_that_is_begun_again_and_asks_something_else_can_ask_in_the_same_project(penchant, tmp_path, arguments):
    call = ["round", tmp_path / "wheel", *arguments, "--people", tmp_path / "votes"]
    for more, num_tasks in (([], 7), ([], 7), (["--temperature", "0.5"], 14)):
        shutil.rmtree(tmp_path / "wheel", ignore_errors=True)
        result = penchant(*call, *more)
        assert (result.code, "7 more of 7 comparisons" in result.err) == (0, True), result.err
        assert len(task_ids(tmp_path / "votes")) == num_tasks


def test_answers_to_a_rounds_tasks_may_be_imported(penchant, tmp_path, arguments):
    folder, project, answers = tmp_path / "wheel", tmp_path / "votes", tmp_path / "answers.jsonl"
    waiting = penchant("round", folder, *arguments, "--people", project)
    prefix = waiting.err.split("they are called ")[1].split("...")[0]
    answered = [
        {"id": prefix + row["id"], "outcome": "a", "annotator": "anna"} | {k: row[k] for k in ("prompt", "a", "b")}
        for row in rows(folder / "round-1" / "samples.jsonl")
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in answered))
    imported = penchant("votes", "import", project, answers)
    assert (imported.code, "0 pairs and 7 answers added" in imported.out) == (0, True), imported.err
    result = penchant("round", folder)
    assert (result.code, "3 more of 3 comparisons" in result.err) == (0, True), result.err
    assert [vote["outcome"] for vote in rows(folder / "round-1" / "votes.jsonl")] == ["a"] * 7


def task_ids(project):
    with sqlite3.connect(project / "penchant.db") as connection:
        return [row[0] for row in connection.execute("SELECT id FROM tasks ORDER BY position")]


def test_a_plan_without_a_name_for_its_tasks_asks_under_the_old_one_and_adds_all_or_none(penchant, tmp_path, arguments):
    from penchant.feedback import Project, Store

    folder, project = tmp_path / "wheel", tmp_path / "votes"
    assert penchant("round", folder, *arguments, "--people", project).code == 0
    plan = folder / "round-1" / "plan.json"
    plan.write_text(json.dumps({k: v for k, v in json.loads(plan.read_text()).items() if k != "tasks"}))
    shutil.rmtree(project)
    last = rows(folder / "round-1" / "samples.jsonl")[-1]
    with Store.open(Project.open(project, create=True)) as store:
        other = Comparison.model_validate(last | {"id": f"wheel/round-1/{last['id']}", "a": {"text": "else"}})
        store.add_tasks([other], origin="elsewhere")
    result = penchant("round", folder)
    assert (result.code, "(1 such), so none was added; mend that" in result.err) == (2, True), result.err
    assert task_ids(project) == [other.id]
    shutil.rmtree(project)
    assert penchant("round", folder).code == 0
    assert set(task_ids(project)) == {
        f"wheel/round-1/{row['id']}" for row in rows(folder / "round-1" / "samples.jsonl")
    }


@pytest.mark.parametrize(
    ("project", "words"),
    [
        ("file", "file is not a folder; choose another place for the project"),
        ("file/within", "file is not a folder; choose another place for the project"),
        ("wrong", "there is no setting 'overlp'"),
        ("torn", "not a database that can be read"),
    ],
)
def test_a_project_that_cannot_be_used_is_refused_before_a_round_begins(penchant, tmp_path, arguments, project, words):
    (tmp_path / "file").write_text("mine")
    for name, settings in (("wrong", "overlp: 2"), ("torn", "overlap: 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "project.yaml").write_text(settings)
    (tmp_path / "torn" / "penchant.db").write_text("no database " * 100)
    result = penchant("round", tmp_path / "wheel", *arguments, "--people", tmp_path / project)
    assert (result.code, words in result.err, "sample:" in result.err) == (2, True, False), result.err
    assert not (tmp_path / "wheel").exists()


def test_a_new_project_is_not_made_before_it_is_needed(penchant, tmp_path, arguments, monkeypatch):
    def stopped(this):
        assert not (tmp_path / "new").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(round_stages.round_train, "sample_responses", stopped)
    result = penchant("round", tmp_path / "wheel", *arguments, "--people", tmp_path / "new" / "votes")
    assert (result.code, (tmp_path / "new").exists()) == (130, False), result.err


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_files(here, judged, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "penchant", "round"]
    environment = os.environ | {"PENCHANT_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(whole), *judged], env=environment, check=True, capture_output=True)
    command += [str(folder), *judged]
    slow = environment | {"SLOW_TASTE": "0.3"}
    one = folder / "round-1"
    moments = [one / "samples.jsonl", one / ".votes.jsonl.answering", one / "run" / "run.json", one / "answers.jsonl"]
    for moment in moments:
        process = subprocess.Popen(command, env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not moment.exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it had ended before {moment.name} was there"
        assert not (one / "round.json").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert contents(one) == contents(whole / "round-1")
    assert record(one) == record(whole / "round-1")
